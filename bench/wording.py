"""Words of messages and tables."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless the number is 1: "1 row", "2 rows"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
