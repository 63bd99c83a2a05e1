"""Assertions on paired times, which measure until they are decided: the object that the fixture ``paired`` returns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from pairbench import comparing, function_ratios
from pairbench.comparison import Comparison
from pairbench.comparison_views import ratio_text
from pairbench.function_measurement import Measurement
from pairbench.functions import CONTROL, REFERENCE, CompareError, FunctionSet

RTOL = 1e-9
"""Relative tolerance of results if a test gives none."""


class Verdict(NamedTuple):
    """The outcome of an assertion on times, with its figures in a sentence."""

    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    text: str


class Paired:
    """A comparison of functions in a test, which measures only when an assertion needs it.

    If ``timing`` is false, the functions are called once and their results compared, and assertions on times hold.
    Every assertion first requires that all candidates are equal to the reference. Each has an error probability of 5 %
    at most, however often it looks at the data.
    """

    def __init__(
        self,
        functions: FunctionSet,
        measurement: Measurement,
        timing: bool,
        check: Callable[[Any, Any], object] | None = None,
        collection: bool = False,
    ):
        self._functions, self._measurement, self._collection = functions, measurement, collection
        self._judge = comparing.judge_of(check, RTOL, 0.0)
        self.timing = timing
        self.verdicts: list[Verdict] = []

    def assert_equal(
        self, rtol: float = RTOL, atol: float = 0.0, check: Callable[[Any, Any], object] | None = None
    ) -> None:
        """Raise AssertionError, which shows the difference, if a candidate's result is not the reference's.

        Numbers may differ by ``atol + rtol * abs(reference)``. The tolerances, or ``check(reference_output, output)``,
        also hold for the results of the calls that later assertions time.
        """
        __tracebackhide__ = True
        self._judge = comparing.judge_of(check, rtol, atol)
        self.require_equal()

    def assert_speedup(self, name: str, at_least: float) -> None:
        """Raise AssertionError unless the reference takes at least ``at_least`` times as long as the candidate.

        Passes if the interval's lower end is at least ``at_least``, fails if the upper end is less, and fails as
        INCONCLUSIVE if neither holds when the budget is spent.
        """
        __tracebackhide__ = True
        if not _is_number(at_least) or at_least <= 0:
            raise CompareError(f"at_least must be a positive number, such as 20, not {at_least!r}")
        self._require_names(name)
        self._decide(
            *(REFERENCE, name),
            lambda found: _decision(found.low >= at_least, found.high < at_least),
            lambda found: f"{name} is {found} times as fast as the reference, and at_least is {at_least:g}",
        )

    def assert_not_slower(self, name: str, than: str | None = None, by: float = 0.0) -> None:
        """Raise AssertionError unless a candidate takes at most 1 + ``by`` times as long as another, or the reference.

        Passes if the upper end of the interval of the ratio is at most 1 + ``by``, fails if the lower end is more, and
        fails as INCONCLUSIVE if neither holds when the budget is spent.
        """
        __tracebackhide__ = True
        if not _is_number(by) or by <= -1:
            raise CompareError(f"by must be a number above -1, such as 0.05 for 5 %, not {by!r}")
        other = REFERENCE if than is None else than
        self._require_names(name, other)
        self._decide(
            *(name, other),
            lambda found: _decision(found.high <= 1 + by, found.low > 1 + by),
            lambda found: f"{name} takes {found} times as long as {other}, and may take {1 + by:g} times as long",
        )

    def finish(self) -> Comparison:
        """The comparison so far. If nothing was timed yet, it is timed first, for as long as ``compare`` would."""
        if self.timing and not self._measurement.processes:
            comparing.measure(self._measurement, self._functions)
            self.require_equal()
        return self.describe()

    def describe(self) -> Comparison:
        """The comparison so far."""
        return comparing.describe(self._measurement, self._functions, self._judge, self._collection)

    def _require_names(self, *names: str) -> None:
        __tracebackhide__ = True
        for name in names:
            if name not in self._functions.functions:
                known = ", ".join(self._functions.functions)
                raise CompareError(f"there is no function {name!r} in this comparison; there are {known}")

    def require_equal(self) -> None:
        """Raise AssertionError if a candidate fails, or its results so far are not the reference's."""
        __tracebackhide__ = True
        self._measurement.prepare()
        for name, reason in self._measurement.failures.items():
            raise AssertionError(f"{name} {reason}") from self._measurement.errors.get(name)
        for name in self._functions.functions:
            if found := comparing.find_difference(self._measurement, name, self._judge):
                raise AssertionError(f"{name} {comparing.inequality(name)}: {found}")

    def _decide(
        self, over: str, under: str, decide: Callable[[_Ends], bool | None], sentence: Callable[[str], str]
    ) -> None:
        """Measure until a decision; raise AssertionError unless it is true. ``None`` is no decision."""
        __tracebackhide__ = True
        self.require_equal()
        if not self.timing:
            return
        decision = self._look(over, under, decide)
        while decision is None and self._measurement.extend():
            self.require_equal()
            decision = self._look(over, under, decide)
        text = sentence(ratio_text(self._measurement.ratio(over, under)))
        if decision is None:
            text = f"{text}; {self._why_undecided(over, under)}"
        verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"] = (
            "INCONCLUSIVE" if decision is None else "PASS" if decision else "FAIL"
        )
        self.verdicts.append(Verdict(verdict, text))
        if not decision:
            raise AssertionError(f"{verdict}: {text}")

    def _look(self, over: str, under: str, decide: Callable[[_Ends], bool | None]) -> bool | None:
        found = comparing.interval(self._measurement, over, under)
        if found is None or found.low is None or found.high is None:
            return None
        offset = self._offset()
        return decide(_Ends(found.low / offset, found.high * offset))

    def _offset(self) -> float:
        """A factor by which intervals are widened: how far the A/A control is from 1, if its interval excludes 1."""
        control = self._measurement.ratio(REFERENCE, CONTROL)
        if control is None or control.low is None or control.high is None or control.low <= 1 <= control.high:
            return 1.0
        return max(control.estimate, 1 / control.estimate)

    def _why_undecided(self, over: str, under: str) -> str:
        for arm in (over, under):
            if short := function_ratios.too_short(self._measurement.processes, arm):
                return f"{arm} {short}"
        control = ratio_text(self._measurement.ratio(REFERENCE, CONTROL))
        blocks = sum(len(samples[REFERENCE]) for samples in self._measurement.processes)
        return (
            f"the budget is spent, with {blocks} blocks and an A/A control of {control}; "
            "raise budget= or --paired-budget, or choose a limit further away"
        )


class _Ends(NamedTuple):
    low: float
    high: float


def _decision(holds: bool, fails: bool) -> bool | None:
    return True if holds else False if fails else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
