"""The output of ``speed``: on the terminal, and as a page of Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.records.files import RecordError, check_place
from bench.records.schema import Ratio, TimingRow
from bench.records.speed_schema import GoalRow, Speed
from bench.report import markdown, roofline_tables, tables
from bench.speed.goal_rows import reference_row, timed_together
from pairbench.markdown import escaped, list_item

TITLE = "# Speed"
GOALS = "", "measured", "goal", ""
LEGEND = (
    "measured: ratio of two times, with its 95 % interval; both times are from the same blocks. The fastest peer is "
    "the fastest in the dtypes that the table of the case has",
    tables.WITHIN_RUN,
    "lower bound: the time that a call takes at least, from the peak rates of this machine",
    "share: share of the roofline, which is the lower bound ÷ the time",
    "A/A: the A/A control, numba_simd timed against itself",
)


@dataclass(frozen=True)
class Section:
    """A title, a table whose first row holds the headings, and sentences below the table."""

    title: str
    table: list[list[str]]
    sentences: list[str]


def check_page_destination(path: Path) -> None:
    """Raise RecordError unless the path can be written and an existing file there is a page of ``speed``."""
    check_place(path)
    if path.exists():
        try:
            is_page = path.read_text(encoding="utf-8").startswith(TITLE)
        except (OSError, UnicodeDecodeError):
            is_page = False
        if not is_page:
            raise RecordError(f"{path} is not a page of mlpbench speed and is not overwritten; name another file")


def sections(document: Speed) -> list[Section]:
    """The goals, the times of each case, and the peak rates of the machine."""
    remarks, probes = [line for row in document.goals for line in _remarks(row)], document.roofline
    return [
        Section("goals", [list(GOALS), *map(_goal, document.goals)], remarks),
        *map(_times, timed_together(document.rows)),
        Section(roofline_tables.TITLE, roofline_tables.cells(probes), [roofline_tables.bandwidth_line(probes)]),
    ]


def renderables(document: Speed) -> Iterator[RenderableType]:
    """The sections, for the terminal."""
    for section in sections(document):
        yield Text(section.title, style="bold")
        yield _table(section)
        yield from map(tables.item, section.sentences)
        yield ""
    yield from roofline_tables.roofline_legend(document.rows)


def page(document: Speed, notes: Sequence[str]) -> str:
    """A page of Markdown: the machine, the sections, and remarks."""
    quick = " --quick" if document.options["quick"] else ""
    lines = [TITLE, "", f"- made by `mlpbench speed{quick}`, {escaped(document.started)}"]
    lines += map(list_item, _machine(document.machine))
    for section in sections(document):
        lines += ["", f"## {escaped(section.title[0].upper() + section.title[1:])}", ""]
        lines += [*markdown.table(_table(section)), ""]
        lines += map(list_item, section.sentences)
    lines += [
        "",
        "## Remarks",
        "",
        *map(list_item, [*LEGEND, *roofline_tables.shares_above_one(document.rows)]),
        *map(list_item, [tables.aa_line(document.rows).text, *notes]),
    ]
    return "\n".join(lines) + "\n"


def _table(section: Section) -> Table:
    headings, *lines = section.table
    table = tables.plain(*headings)
    for line in lines:
        table.add_row(*line)
    return table


def _goal(row: GoalRow) -> list[str]:
    unit = f" {row.unit}" if row.unit else ""
    sign = "≤" if row.at_most else "≥"
    measured = tables.interval(row.measured) + (unit if row.measured else "")
    return [row.what, measured, f"{sign} {row.goal:g}{unit}", "reached" if row.reached else "not reached"]


def _remarks(row: GoalRow) -> Iterator[str]:
    if row.detail:
        yield f"{row.what}: {row.detail}"
    if row.note and not row.reached:
        yield f"{row.what}: {row.note}"


def _times(rows: Sequence[TimingRow]) -> Section:
    bounds = {row.dtype: tables.duration(row.lower_bound_seconds) for row in rows}
    lower_bounds = " and ".join(f"{bound} in {dtype}" for dtype, bound in bounds.items())
    reasons = dict.fromkeys(f"{row.arm}: {row.reason}" for row in rows if row.reason)
    reference = reference_row(rows)
    table = [
        [
            row.arm,
            tables.duration(row.seconds),
            "1" if row is reference else _ratio(row.speedup),
            tables.part(row.roofline_share),
        ]
        for row in rows
    ]
    return Section(
        f"{tables.case_title(reference)}, {reference.dtype}",
        [["", "time", f"÷ {reference.arm}", "share"], *table],
        [f"lower bound: {lower_bounds}", *reasons],
    )


def _ratio(speedup: Ratio | None) -> str:
    """Time of the row ÷ time of the reference, the inverse of the speedup."""
    if speedup is None:
        return tables.NONE
    low, high = ((None if end is None else 1 / end) for end in (speedup.high, speedup.low))
    return tables.interval(Ratio(estimate=1 / speedup.estimate, low=low, high=high))


def _machine(machine: dict[str, Any]) -> list[str]:
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return [
        f"{machine['cpu']}, {machine['cpus_usable'] or machine['cpus']} CPUs, {machine['system']}",
        f"instruction sets: {', '.join(machine['instruction_set'])}",
        f"Python {machine['python']}, {libraries}; BLAS: {machine['blas']}",
    ]
