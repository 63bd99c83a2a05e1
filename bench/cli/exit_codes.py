"""Exit statuses of all commands."""

from __future__ import annotations

OK = 0
FINDING = 1
"""Something is not equal, a figure is missed, a backend is broken, or a verdict is FAIL."""
USAGE_ERROR = 2
INCONCLUSIVE = 3
INTERNAL_ERROR = 4
INTERRUPTED = 130

OF_VERDICT = {"PASS": OK, "FAIL": FINDING, "INCONCLUSIVE": INCONCLUSIVE}
