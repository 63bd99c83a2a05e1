"""Words of messages and tables."""

from __future__ import annotations

__all__ = ["counted", "in_percent"]


def in_percent(share: float, digits: int = 0) -> str:
    """A share in percent: 0.05 is "5 %"."""
    return f"{100 * share:.{digits}f} %"


def counted(number: int, noun: str) -> str:
    """The number and the noun, in the plural unless the number is 1: "1 row", "2 rows"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
