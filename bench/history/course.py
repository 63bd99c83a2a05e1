"""The course of each series over the stored runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import groupby

from bench.history.change_points import change_points
from bench.history.times import parse_time
from bench.records.history_schema import HistoryChange, HistoryRow, IndexedFile

THRESHOLD = 0.05
"""The smallest change that is a change point: the default of the gate."""


def history_rows(indexed: Sequence[IndexedFile], wanted: str | None, own: str | None) -> list[HistoryRow]:
    """The values of the series whose name contains ``wanted``, by series, machine and time.

    With ``own``, a machine in a line, only speedups on it. Times without a speedup are results of other programs, which
    describe a machine in other words; they are always included. Raises ValueError if no series contains ``wanted``.
    """
    known = {row.series for file in indexed for row in file.rows}
    chosen = {series for series in known if wanted is None or wanted.casefold() in series.casefold()}
    if known and not chosen:
        raise ValueError(_no_such_series(str(wanted), sorted(known)))
    rows = []
    for file in indexed:
        rows += [
            HistoryRow(
                series=row.series,
                machine=file.machine,
                file=file.name,
                started=file.started,
                commit=file.commit,
                speedup=row.speedup,
                seconds=row.seconds,
            )
            for row in file.rows
            if row.series in chosen and (row.speedup is None or own in (None, file.machine))
        ]
    return sorted(rows, key=lambda row: (row.series, row.machine, parse_time(row.started), row.file))


def by_series(rows: Sequence[HistoryRow]) -> Iterator[list[HistoryRow]]:
    """The rows of each series on each machine; rows without a speedup beside rows with one are left out."""
    for _, group in groupby(rows, key=lambda row: (row.series, row.machine)):
        members = list(group)
        yield [row for row in members if (row.speedup is None) == (members[-1].speedup is None)]


def changes(rows: Sequence[HistoryRow]) -> list[HistoryChange]:
    """The change points of every series."""
    return [
        HistoryChange(factor=math.exp(point.change), before=series[point.position - 1], after=series[point.position])
        for series in by_series(rows)
        for point in change_points([math.log(speed(row)) for row in series], THRESHOLD)
    ]


def speed(row: HistoryRow) -> float:
    """What a series shows: the speedup, or calls per second where there is no reference."""
    return 1 / row.seconds if row.speedup is None else row.speedup.estimate


def _no_such_series(wanted: str, series: Sequence[str]) -> str:
    near = get_close_matches(wanted, series, 1, 0.3)
    return f"no stored result has a series that contains {wanted!r}; one series is {(near or series)[0]!r}"
