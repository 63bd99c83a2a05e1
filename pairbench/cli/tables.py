"""A table as text for a terminal, and as Markdown, with lines of text below it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pairbench.comparison_views import seconds_text
from pairbench.function_rows import FunctionRow
from pairbench.markdown import escaped, list_item, table_row
from pairbench.statistics import Interval
from pairbench.visible_text import one_line

NONE = "—"
WIDE = 10_000
STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}


@dataclass(frozen=True)
class Report:
    """A table with its heading, and lines of text below it. Columns after the first are aligned to the right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    lines: Sequence[str]

    def text(self) -> str:
        """The report for standard output, fitted to the width of a terminal or to COLUMNS; a file has no width."""
        is_terminal = sys.stdout is not None and not sys.stdout.closed and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal or os.environ.get("COLUMNS") else WIDE
        console = Console(width=width, markup=False, emoji=False, highlight=False)
        table = Table(box=box.SIMPLE_HEAD)
        for number, column in enumerate(self.columns):
            table.add_column(Text(column), justify="right" if number else "left", overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(one_line(cell), style=STYLES.get(cell, "")) for cell in row))
        with console.capture() as captured:
            if self.title:
                console.print(Text(one_line(self.title), style="bold"))
            console.print(table)
            for line in self.lines:
                console.print(Text(one_line(line)))
        return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"

    def markdown(self) -> str:
        """The report as Markdown."""
        lines = [
            f"## {escaped(self.title)}",
            "",
            table_row(self.columns),
            table_row(["---", *["---:"] * (len(self.columns) - 1)]),
        ]
        return "\n".join([*lines, *map(table_row, self.rows), "", *map(list_item, self.lines)]) + "\n"


def percent(ratio: float | None) -> str:
    """A ratio as a change in percent: 1.05 is "+5.0 %"."""
    return NONE if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def change(ratio: Interval | None) -> str:
    """A ratio and its interval, as changes in percent."""
    if ratio is None:
        return NONE
    low, high = (percent(end).removesuffix(" %") for end in (ratio.low, ratio.high))
    return f"{percent(ratio.estimate)} [{low}, {high}]"


GATE_COLUMNS = ("base", "head", "change", "MDE", "results", "verdict")


def gate_cells(row: FunctionRow) -> tuple[str, ...]:
    """The cells of ``GATE_COLUMNS`` of a row of the gate."""
    base, head = seconds_text(row.base_seconds), seconds_text(row.head_seconds)
    return base, head, change(row.change), percent(row.minimum_detectable_effect), row.results, row.verdict
