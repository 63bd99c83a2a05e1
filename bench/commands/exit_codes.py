"""Exit statuses of all commands."""

from __future__ import annotations

OK = 0
FINDING = 1
"""A backend is wrong or broken, a printed figure is not reproduced, a mutant survives, or the verdict is FAIL."""
USAGE_ERROR = 2
INCONCLUSIVE = 3
INTERNAL_ERROR = 4
INTERRUPTED = 130

OF_VERDICT = {"PASS": OK, "FAIL": FINDING, "INCONCLUSIVE": INCONCLUSIVE}
