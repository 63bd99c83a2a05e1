"""Text from outside, as one line of visible characters.

The messages of exceptions, the names of files and revisions, and the descriptions of machines may hold terminal
sequences, marks that reverse the direction of writing, or line breaks. Everything that shows or stores such text passes
it through ``visible``.
"""

from __future__ import annotations

__all__ = ["one_line", "visible", "visible_data", "visible_lines", "visible_prints"]

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import TextIOBase
from typing import Any, TextIO

_RANGES = (
    (0x034F, 0x034F),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFFA0, 0xFFA0),
    (0xE0100, 0xE01EF),
)
"""Characters of Unicode's property Default_Ignorable_Code_Point that ``str.isprintable`` takes for printable."""
INVISIBLE = frozenset(chr(code) for first, last in _RANGES for code in range(first, last + 1))


def visible(text: str) -> str:
    r"""The text with an escape, such as ``\x1b``, ``\n`` or ``\u202e``, for each character that cannot be seen."""
    if text.isprintable() and INVISIBLE.isdisjoint(text):
        return text
    return "".join(
        character
        if character.isprintable() and character not in INVISIBLE
        else character.encode("unicode_escape").decode()
        for character in text
    )


def one_line(text: str) -> str:
    """The visible text, with a space for each line break or other run of whitespace."""
    return visible(" ".join(text.split()))


def visible_lines(text: str) -> str:
    """The visible text, with its line breaks."""
    return "\n".join(map(visible, text.split("\n")))


def visible_data(data: Any) -> Any:
    """The data of a document, with every string in it made visible."""
    match data:
        case str():
            return visible(data)
        case dict():
            return {visible_data(key): visible_data(value) for key, value in data.items()}
        case list() | tuple():
            return [visible_data(value) for value in data]
        case _:
            return data


class _VisibleStream(TextIOBase):
    """A stream that writes text to another one, as visible lines."""

    def __init__(self, stream: TextIO | None):
        self._stream = stream

    def write(self, text: str) -> int:
        if self._stream is not None:
            self._stream.write(visible_lines(text))
        return len(text)

    def flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()


@contextmanager
def visible_prints() -> Iterator[None]:
    """What code under test prints in this context goes to standard error, and cannot mix with the results."""
    stream = _VisibleStream(sys.stderr)
    with redirect_stdout(stream), redirect_stderr(stream):
        yield
