"""The tables of ``mlpbench compare`` for results files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.records.comparison_schema import ComparedRow, FileComparison
from bench.records.schema import Ratio
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.wording import counted


def comparison(document: FileComparison) -> Iterator[RenderableType]:
    """What differs first; then a table of two files, or a matrix of several; then what only one file has."""
    yield from map(Paragraph, document.differences or ["The machines and the versions are the same."])
    yield ""
    first, *others = document.files
    if len(others) == 1:
        yield from _pair(document.rows, first, others[0])
    else:
        yield from _matrix(document.rows, first, others)
    yield from map(tables.item, document.unmatched)


def _pair(rows: Sequence[ComparedRow], first: str, other: str) -> Iterator[RenderableType]:
    table = tables.plain("series", first, other, "ratio of the times", "ratio of the speedups")
    for row in rows:
        table.add_row(
            row.series,
            tables.duration(row.first_seconds),
            tables.duration(row.seconds),
            tables.interval(row.time_ratio),
            tables.interval(row.speedup_ratio),
        )
    yield table
    yield ""
    yield from _legend(first)
    yield from _summary(rows, other)


def _matrix(rows: Sequence[ComparedRow], first: str, others: Sequence[str]) -> Iterator[RenderableType]:
    yield from (f"{number}: {name}" for number, name in enumerate((first, *others), start=1))
    yield ""
    name_of, ratio_of = decisive(rows)
    yield Text(f"{name_of} of each file and file 1", style="bold")
    table = tables.plain("series", *(f"{number} : 1" for number in range(2, len(others) + 2)))
    for series, group in groupby(rows, key=lambda row: row.series):
        ratios = {row.file: tables.interval(ratio_of(row)) for row in group}
        table.add_row(series, *(ratios.get(name, tables.NONE) for name in others))
    yield table
    yield ""
    yield from _legend(first)
    for name in others:
        yield from _summary([row for row in rows if row.file == name], name)


def decisive(rows: Sequence[ComparedRow]) -> tuple[str, Callable[[ComparedRow], Ratio | None]]:
    """The ratio that counts: of the speedups, where there are any, and otherwise of the times."""
    if any(row.speedup_ratio is not None for row in rows):
        return "ratio of the speedups", lambda row: row.speedup_ratio
    return "ratio of the times", lambda row: row.time_ratio


def _legend(first: str) -> Iterator[RenderableType]:
    yield Paragraph(
        f"times: medians over the processes. ratio of the times: time in {first} ÷ time in the other file. "
        f"ratio of the speedups: speedup in the other file ÷ speedup in {first}. Above 1, the other file is faster."
    )
    yield Paragraph(
        "The intervals are for the medians, within these runs. What slowed the machine during a whole run cancels in "
        "the ratio of the speedups, but not in that of the times. Without an interval, a file has a single process. Of "
        "the rows without a difference, at most one in 20 is outside its interval by chance."
    )


def _summary(rows: Sequence[ComparedRow], name: str) -> Iterator[RenderableType]:
    name_of, ratio_of = decisive(rows)
    ratios = [ratio for row in rows if (ratio := ratio_of(row)) is not None]
    faster = sum(ratio.low is not None and ratio.low > 1 for ratio in ratios)
    slower = sum(ratio.high is not None and ratio.high < 1 for ratio in ratios)
    yield Text(
        f"{name}: faster in {faster} and slower in {slower} of {counted(len(ratios), 'row')}, "
        f"by the whole 95 % interval of the {name_of}"
    )
