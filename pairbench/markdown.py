"""Writes text as Markdown of GitHub. Text is shown as it is: no markup, no link, no HTML."""

from __future__ import annotations

__all__ = ["escaped", "list_item", "table_row"]

import html
import re
from collections.abc import Sequence

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


def list_item(text: str) -> str:
    """The text as an item of a list."""
    line = escaped(text)
    if (block := _BLOCK.match(line)) is None:
        return f"- {line}"
    end = block.end() if line[0].isdigit() else 0
    return f"- {line[:end]}\\{line[end:]}"


def table_row(cells: Sequence[str]) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(escaped, cells))} |"
