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

UNLIMITED = 100_000
"""A width that no table reaches."""

PROSE_WIDTH = 80
"""Longest line of a paragraph, also on a wider terminal."""


@dataclass(frozen=True)
class Paragraph:
    """Text that is wrapped between words; all lines but the first are indented."""

    text: str
    start: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        lines = _wrapped(visible(self.text), min(options.max_width, PROSE_WIDTH), self.start)
        yield Text(lines, no_wrap=True, overflow="ignore")


def fitted(renderable: RenderableType, console: Console) -> list[RenderableType]:
    """The renderable with visible text, fitted to the console's width; a table may become several tables."""
    match renderable:
        case str() | Text():
            text = _visible(renderable)
            return [Text(_wrapped(text.plain, console.width), style=text.style) if len(text) > console.width else text]
        case Table():
            first, *more = _fitted_table(_part(renderable, range(len(renderable.columns))), console)
            return [first, *(part for table in more for part in ("", table))]
        case _:
            return [renderable]


def _width(table: Table, console: Console) -> int:
    """The width of a table that is not wrapped."""
    return Measurement.get(console, console.options.update(max_width=UNLIMITED), table).maximum


def _fitted_table(table: Table, console: Console) -> Iterator[Table]:
    """The table as it is, or with narrower columns, or wrapped, or in several parts that repeat the first column."""
    missing = _width(table, console) - console.width
    if missing <= 0:
        yield table
        return
    for column in table.columns:
        column.min_width = None
    missing = _width(table, console) - console.width
    if missing <= 0 or len(table.columns) < 3 or _can_be_wrapped(table, missing, console):
        yield table
        return
    columns = [0]
    for index in range(1, len(table.columns)):
        if len(columns) > 1 and _width(_part(table, [*columns, index]), console) > console.width:
            yield _part(table, columns)
            columns = [0]
        columns.append(index)
    yield _part(table, columns)


def _can_be_wrapped(table: Table, missing: int, console: Console) -> bool:
    """Whether the table fits without breaking a word or a figure, and its widest text keeps half of its width."""
    for column in table.columns:
        column.no_wrap = column.justify == "right"
    options = console.options.update(max_width=UNLIMITED)
    texts = [cell for column in table.columns if column.justify == "left" for cell in [column.header, *column.cells]]
    widest = max((Measurement.get(console, options, text).maximum for text in texts), default=0)
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


def _visible(text: str | Text) -> Text:
    return Text(visible(text)) if isinstance(text, str) else Text(visible(text.plain), style=text.style)


def _wrapped(text: str, width: int, start: str = "") -> str:
    """The text wrapped between words. A longer word, such as a path, stays whole, so that it can be copied."""
    return textwrap.fill(
        text, width, initial_indent=start, subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
