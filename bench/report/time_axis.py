"""Times as points above a labelled logarithmic axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.text import Text

from bench.records.schema import TimingRow
from bench.report import tables
from pairbench.measure import AA_CONTROL

ONE_SAMPLE = ("forward", 1)
WIDTH = 46
"""Longest axis, in columns."""


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis over whole powers of ten, in seconds."""

    first: int
    last: int

    @classmethod
    def over(cls, seconds: Iterable[float]) -> Axis:
        """The shortest axis that holds these times."""
        logarithms = [log10(second) for second in seconds]
        first = floor(min(logarithms))
        return cls(first, max(first + 1, ceil(max(logarithms))))

    def column(self, seconds: float, width: int) -> int:
        """The column of a time on an axis of this width."""
        return round((log10(seconds) - self.first) / (self.last - self.first) * (width - 1))

    def labels(self, width: int) -> str:
        """A line with the powers of ten, each beginning at its column; those that would overlap are left out."""
        line = ""
        for power in range(self.first, self.last + 1):
            label = tables.duration(10.0**power).replace(".00", "").replace(".0", "")
            column = self.column(10.0**power, width)
            start = min(column, width - len(label))
            if not line or start > len(line):
                line = line.ljust(start) + label
        return line

    def line(self, width: int) -> str:
        """A line with a mark at each power of ten."""
        marks = {self.column(10.0**power, width) for power in range(self.first, self.last + 1)}
        return "".join("┼" if column in marks else "─" for column in range(width))


@dataclass(frozen=True)
class OnAxis:
    """A cell of a table: the point of a time on the axis; or, as the heading, the axis itself."""

    axis: Axis
    seconds: float | None = None

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(20, WIDTH)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        width = min(options.max_width, WIDTH)
        if self.seconds is None:
            yield Text(self.axis.labels(width), no_wrap=True)
            yield Text(self.axis.line(width), no_wrap=True)
        else:
            yield Text(" " * self.axis.column(self.seconds, width) + "●", no_wrap=True)


def points(rows: Sequence[TimingRow]) -> Iterator[RenderableType]:
    """The times of a forward call with one sample on the last network, as points on a logarithmic axis."""
    calls = [members for _, members in tables.by_case(rows) if (members[0].operation, members[0].batch) == ONE_SAMPLE]
    timed = [(row, row.seconds) for row in (calls[-1] if calls else []) if row.seconds and row.arm != AA_CONTROL]
    if len(timed) < 2:
        return
    axis = Axis.over(seconds for _, seconds in timed)
    yield Text(f"{tables.case_title(timed[0][0])}: time per call, logarithmic axis", style="bold")
    table = tables.plain("backend", "", "time", left=2)
    table.columns[1].header = OnAxis(axis)
    for row, seconds in timed:
        table.add_row(row.arm, OnAxis(axis, seconds), tables.duration(seconds))
    yield table
    yield ""
