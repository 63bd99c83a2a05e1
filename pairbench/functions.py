"""The functions that are compared, with their arguments, and what cannot be compared."""

from __future__ import annotations


class CompareError(ValueError):
    """Functions cannot be compared; the message says why in one line, and what would be right."""
