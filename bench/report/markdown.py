"""Writes what the terminal shows as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.report import terminal
from bench.report.layout import Paragraph
from pairbench.markdown import escaped, list_item, table_row


def table(tabular: Table) -> list[str]:
    """The lines of a table. One with a drawing stays as it is on the terminal."""
    headings = [column.header for column in tabular.columns]
    lines = list(zip(*(column.cells for column in tabular.columns), strict=True))
    if any(not isinstance(cell, str | Text) for cell in [*headings, *(cell for line in lines for cell in line)]):
        return ["```text", *terminal.rendered(tabular).splitlines(), "```"]
    alignments = ["---:" if column.justify == "right" else "---" for column in tabular.columns]
    return [
        table_row([str(heading).replace("\n", "") for heading in headings]),
        f"| {' | '.join(alignments)} |",
        *(table_row(list(map(str, line))) for line in lines),
    ]


def page(renderables: Sequence[RenderableType]) -> str:
    """What the terminal shows, as Markdown: tables, titles, and sentences as lists."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line for part in renderables for line in _lines(part))).strip() + "\n"


def _lines(part: RenderableType) -> Iterator[str]:
    match part:
        case "":
            yield ""
        case Table():
            yield from ("", *table(part), "")
        case Text(style="bold"):
            yield from ("", f"**{escaped(part.plain)}**", "")
        case Paragraph():
            yield list_item(part.text)
        case _:
            yield list_item(str(part))
