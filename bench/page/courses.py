"""The history as the page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.history.course import by_series
from bench.page.charts import HistoryPoint
from bench.records.history_schema import HistoryRow
from bench.report.history_tables import HASH

POINTS = 7000
"""Points that the page shows, shared among the series: with all of a thousand runs, it would have 10 MB."""
UNCOMMITTED = "uncommitted"


def history_points(rows: Sequence[HistoryRow]) -> list[HistoryPoint]:
    """The latest speedups of each series that has two or more."""
    courses = [series for series in by_series(rows) if len(series) > 1]
    most = max(2, POINTS // max(1, len(courses)))
    return [point for series in courses for point in _points(series[-most:])]


def _points(series: Sequence[HistoryRow]) -> Iterator[HistoryPoint]:
    for row in series:
        backend, _, case = row.series.partition(": ")
        if row.speedup is not None:
            estimate = row.speedup.estimate
            yield HistoryPoint(
                case=case,
                backend=backend,
                time=row.started,
                commit=UNCOMMITTED if row.commit is None else row.commit[:HASH],
                speedup=estimate,
                low=estimate if row.speedup.low is None else row.speedup.low,
                high=estimate if row.speedup.high is None else row.speedup.high,
            )
