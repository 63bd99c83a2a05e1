"""Assertions on paired times, which measure until they are decided: the object that the fixture ``paired`` returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Paired:
    """A comparison of functions that measures when an assertion needs it."""

    def assert_equal(
        self, rtol: float = 1e-9, atol: float = 0.0, check: Callable[[Any, Any], object] | None = None
    ) -> None:
        """Raise AssertionError, which shows the difference, if a candidate's result is not the reference's."""

    def assert_speedup(self, name: str, at_least: float) -> None:
        """Raise AssertionError unless the reference takes at least ``at_least`` times as long as the candidate.

        Passes if the interval's lower end is at least ``at_least``, fails if the upper end is less, and fails as
        INCONCLUSIVE if neither holds when the budget is spent.
        """

    def assert_not_slower(self, name: str, than: str | None = None, by: float = 0.0) -> None:
        """Raise AssertionError unless a candidate takes at most 1 + ``by`` times as long as another, or the reference.

        Passes if the upper end of the interval of the ratio is at most 1 + ``by``, fails if the lower end is more, and
        fails as INCONCLUSIVE if neither holds when the budget is spent.
        """
