"""The tables and sentences of ``mlpbench history``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.history.course import by_series, speed
from bench.records.history_schema import History, HistoryChange, HistoryRow
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.wording import in_percent

BARS = "▁▂▃▄▅▆▇█"
FEWEST, LONGEST = 3, 30
"""Number of runs from which on there is a sparkline, and number of the latest runs that it shows."""
LEVEL = 0.02
"""Values that differ by less are a flat line: otherwise noise would fill the height."""
HASH = 10
"""Number of digits of a commit's hash."""


def courses(document: History) -> Iterator[RenderableType]:
    """A table for each machine, with a row for each series, and below it the change points."""
    groups = sorted(by_series(document.rows), key=lambda series: series[0].machine)
    for machine, members in groupby(groups, key=lambda series: series[0].machine):
        yield Text(machine, style="bold")
        table = tables.plain("series", "runs", "first", "latest", "course", left=1)
        for series in members:
            course = sparkline(series) if len(series) >= FEWEST else tables.NONE
            table.add_row(series[0].series, str(len(series)), value(series[0]), value(series[-1]), course)
        yield table
        yield ""
        yield from (tables.item(sentence(change)) for change in document.changes if change.before.machine == machine)
    if document.rows:
        yield Paragraph(
            "first, latest: speedup over python_loops with its 95 % interval, or the time of a call without a "
            "reference. course: the latest runs, faster is higher."
        )
        yield Paragraph(
            "A change point is a run from which on the level differs by more than 5 %; it needs 5 runs before it and "
            "5 after it."
        )


def value(row: HistoryRow) -> str:
    """The speedup with its interval, or the time."""
    return tables.duration(row.seconds) if row.speedup is None else tables.interval(row.speedup)


def sparkline(series: Sequence[HistoryRow]) -> str:
    """A bar for each of the latest runs; the heights show the logarithm of the speed."""
    speeds = [math.log(speed(row)) for row in series[-LONGEST:]]
    lowest, spread = min(speeds), max(max(speeds) - min(speeds), LEVEL)
    return "".join(BARS[round((entry - lowest) / spread * (len(BARS) - 1))] for entry in speeds)


def sentence(change: HistoryChange) -> str:
    """What changed, by how much, and between which commits."""
    before, after = change.before, change.after
    amount = in_percent(abs(change.factor - 1), 1)
    return (
        f"{before.series}: {amount} {'faster' if change.factor > 1 else 'slower'}, between {_commit(before)} "
        f"({before.started}) and {_commit(after)} ({after.started})"
    )


def _commit(row: HistoryRow) -> str:
    return "an uncommitted state" if row.commit is None else row.commit[:HASH]
