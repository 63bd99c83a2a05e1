"""Exit statuses of all commands."""

from __future__ import annotations

__all__ = ["FINDING", "INTERRUPTED", "OF_VERDICT", "OK", "USAGE_ERROR"]

OK = 0
FINDING = 1
"""Something is wrong, fails, or is slower: the work was done, and its result is bad news."""
USAGE_ERROR = 2
INCONCLUSIVE = 3
INTERNAL_ERROR = 4
INTERRUPTED = 130

OF_VERDICT = {"PASS": OK, "FAIL": FINDING, "INCONCLUSIVE": INCONCLUSIVE, "new": OK}
