"""Fits paragraphs and tables to the width of the terminal, and makes all their text visible."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from pairbench.visible_text import visible, visible_lines

PROSE_WIDTH = 80
"""Longest line of a paragraph, also on a wider terminal."""


@dataclass(frozen=True)
class Paragraph:
    """Text that is wrapped between words; all lines but the first are indented."""

    text: str
    start: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = textwrap.wrap(
            visible(self.text),
            min(options.max_width, PROSE_WIDTH),
            initial_indent=self.start,
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
        yield from (Text(line, no_wrap=True, overflow="ignore") for line in lines)


def fitted(renderable: RenderableType, console: Console) -> list[RenderableType]:
    """The renderable with visible text; a table is fitted to the console's width, and may become several tables."""
    match renderable:
        case str() | Text():
            return [_visible(renderable)]
        case Table():
            first, *more = _fitted_table(_part(renderable, range(len(renderable.columns))), console)
            return [first, *(part for table in more for part in ("", table))]
        case _:
            return [renderable]


def table_width(table: Table, console: Console) -> int:
    """The width of a table that is not wrapped."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).maximum


def _fitted_table(table: Table, console: Console) -> Iterator[Table]:
    """The table as it is, or with narrower columns, or wrapped, or in several parts that repeat the first column."""
    missing = table_width(table, console) - console.width
    if missing <= 0:
        yield table
        return
    for column in table.columns:
        column.min_width = None
    missing = table_width(table, console) - console.width
    if missing <= 0 or len(table.columns) < 3 or _can_be_wrapped(table, missing, console):
        yield table
        return
    columns = [0]
    for index in range(1, len(table.columns)):
        if len(columns) > 1 and table_width(_part(table, [*columns, index]), console) > console.width:
            yield _part(table, columns)
            columns = [0]
        columns.append(index)
    yield _part(table, columns)


def _can_be_wrapped(table: Table, missing: int, console: Console) -> bool:
    """Whether the table fits without breaking a word or a figure, and its widest text keeps half of its width."""
    for column in table.columns:
        column.no_wrap = column.justify == "right"
    options = console.options.update(max_width=10_000)
    widest = max(
        Measurement.get(console, options, cell).maximum
        for column in table.columns
        if column.justify == "left"
        for cell in [column.header, *column.cells]
    )
    return missing <= widest // 2 and Measurement.get(console, options, table).minimum <= console.width


def _part(table: Table, indices: Sequence[int]) -> Table:
    """A new table with these columns, whose cells are visible."""
    columns: list[Column] = []
    for index in indices:
        column = table.columns[index].copy()
        if isinstance(column.header, str):  # a heading is the program's own, and may have several lines
            column.header = visible_lines(column.header)
        columns.append(column)
    part = Table(*columns, box=table.box, show_edge=False, pad_edge=False, padding=table.padding)
    cells = [list(table.columns[index].cells) for index in indices]
    for row, line in zip(table.rows, zip(*cells, strict=True), strict=True):
        part.add_row(*(_visible(cell) if isinstance(cell, str | Text) else cell for cell in line), style=row.style)
    return part


def _visible(text: str | Text) -> str | Text:
    return visible(text) if isinstance(text, str) else Text(visible(text.plain), style=text.style)
