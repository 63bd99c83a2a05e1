"""Writes tables and text as Markdown. Text is shown as it is: no markup, no link, no HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bench.report import terminal
from bench.report.layout import Paragraph
from pairbench.visible_text import one_line

_MARKUP = re.compile(
    r"""
    [\\`*|~$]                 # escapes, code, emphasis, cells, formulas
    | (?<![^\W_])_ | _(?![^\W_])  # emphasis; inside a word such as numba_simd an underscore is no markup
    | \](?=[(\[:])            # links and pictures
    | :(?=//) | (?<=www)\.    # bare addresses, which GitHub turns into links
    """,
    re.VERBOSE | re.IGNORECASE,
)
_BLOCK = re.compile(r"[#+=\[-]|\d+(?=[.)])")
"""What makes a heading, a list, a task or a definition at the beginning of a line."""


def escaped(text: str) -> str:
    """The text as one line of Markdown without markup, for use inside a line."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(one_line(text), quote=False))


def item(text: str) -> str:
    """The text as an item of a list."""
    line = escaped(text)
    if (block := _BLOCK.match(line)) is None:
        return f"- {line}"
    end = block.end() if line[0].isdigit() else 0
    return f"- {line[:end]}\\{line[end:]}"


def row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(escaped, cells))} |"


def table(tabular: Table) -> list[str]:
    """The lines of a table. One with a drawing stays as it is on the terminal."""
    headings = [column.header for column in tabular.columns]
    lines = list(zip(*(column.cells for column in tabular.columns), strict=True))
    if any(not isinstance(cell, str | Text) for cell in [*headings, *(cell for line in lines for cell in line)]):
        return ["```text", *terminal.rendered(tabular).splitlines(), "```"]
    alignments = ["---:" if column.justify == "right" else "---" for column in tabular.columns]
    return [
        row([str(heading).replace("\n", "") for heading in headings]),
        f"| {' | '.join(alignments)} |",
        *(row(list(map(str, line))) for line in lines),
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
            yield item(part.text)
        case _:
            yield item(str(part))
