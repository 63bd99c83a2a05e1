"""Assertions on paired times: the verdicts by made-up samples, when measuring ends, and how often a verdict errs."""

from contextlib import suppress

import numpy as np
import pytest

from pairbench import CompareError, Paired, comparing, function_ratios
from pairbench.function_timer import Evidence, Reading
from pairbench.functions import CONTROL, REFERENCE, FunctionSet
from pairbench.sequential_test import analysis_points
from tests.helpers import assert_one_line

BUDGET = 0.05


class MadeUp:
    """A measurement whose times are drawn: ``seconds`` by arm, with lognormal noise, for ``most`` blocks at most."""

    def __init__(self, seconds, noise=0.02, most=400, seed=0, control=1.0, spending=True):
        self._seconds = {REFERENCE: seconds[REFERENCE], CONTROL: control * seconds[REFERENCE], **seconds}
        self._noise, self._most, self._random = noise, most, np.random.default_rng(seed)
        self._points, self._spending = analysis_points(function_ratios.FIRST_LOOK), spending
        self.samples = {arm: [] for arm in self._seconds}
        self.looks = 0
        self.evidence, self.failures, self.errors, self.remarks = {}, {}, {}, {}

    @property
    def blocks(self):
        return len(self.samples[REFERENCE])

    @property
    def processes(self):
        return [self.samples] if self.blocks else []

    def ratio(self, over, under):
        confidence = function_ratios.look_confidence(max(1, self.looks)) if self._spending else 0.95
        return function_ratios.ratio(self.processes, over, under, confidence)

    def prepare(self):
        pass

    def extend(self):
        if self.blocks >= self._most:
            return False
        for block in range(self.blocks, min(self._most, next(self._points))):
            for arm, seconds in self._seconds.items():
                value = seconds * self._random.lognormal(0, self._noise)
                self.samples[arm].append(Reading(block, 0, "", value, 0.0, 0.0))
        self.looks += 1
        return True


def paired(seconds, timing=True, **options):
    functions = FunctionSet.of(abs, {name: abs for name in seconds if name != REFERENCE}, (1,), None, None)
    measurement = MadeUp(seconds, **options)
    return Paired(functions, measurement, timing), measurement


THREE = {REFERENCE: 20e-3, "numpy": 2e-3, "numba": 1e-3}


@pytest.mark.parametrize("limit", [1, 5, 9])
def test_a_speedup_that_is_clear_passes_at_the_first_look(limit):
    made, measurement = paired(THREE)
    made.assert_speedup("numpy", at_least=limit)
    assert measurement.looks == 1
    [verdict] = made.verdicts
    assert verdict.verdict == "PASS"
    assert f"at_least is {limit}" in verdict.text


def test_a_speedup_that_is_clearly_too_small_fails_with_its_figures():
    made, measurement = paired(THREE)
    with pytest.raises(AssertionError, match=r"^FAIL: numpy is (9\.|10)[\d.]* \[[\d.]+, [\d.]+\] times as fast"):
        made.assert_speedup("numpy", at_least=12)
    assert measurement.looks == 1


def test_a_speedup_at_the_limit_is_inconclusive_when_the_budget_is_spent():
    made, measurement = paired(THREE, most=50)
    with pytest.raises(AssertionError, match=r"^INCONCLUSIVE: .*the budget is spent, with 50 blocks.*--paired-budget"):
        made.assert_speedup("numpy", at_least=10)
    assert measurement.blocks == 50
    assert made.verdicts[0].verdict == "INCONCLUSIVE"
    assert_one_line(made.verdicts[0].text)


def test_measuring_goes_on_until_the_assertion_is_decided_and_no_further():
    made, measurement = paired(THREE)
    made.assert_speedup("numpy", at_least=9)
    quick = measurement.blocks
    made.assert_speedup("numpy", at_least=9.85)
    assert quick < measurement.blocks < 400


def test_not_slower_passes_fails_and_compares_with_the_reference_by_default():
    made, _ = paired(THREE)
    made.assert_not_slower("numba", than="numpy", by=0.05)
    made.assert_not_slower("numpy")
    made.assert_not_slower("numpy", than="numba", by=1.1)
    with pytest.raises(AssertionError, match=r"^FAIL: numpy takes .* times as long as numba, and may take 1.9 times"):
        made.assert_not_slower("numpy", than="numba", by=0.9)
    assert [verdict.verdict for verdict in made.verdicts] == ["PASS", "PASS", "PASS", "FAIL"]


def test_a_wrong_control_withholds_a_verdict_that_is_closer_than_its_offset():
    """The control takes 8 % longer than the reference, so a difference of 5 % says nothing."""
    seconds = {REFERENCE: 1e-3, "f": 1e-3 / 1.05}
    made, _ = paired(seconds, noise=0.005)
    made.assert_speedup("f", at_least=1.01)
    made, _ = paired(seconds, noise=0.005, control=1.08)
    with pytest.raises(AssertionError, match="INCONCLUSIVE"):
        made.assert_speedup("f", at_least=1.01)


def test_a_single_block_decides_nothing():
    made, _ = paired(THREE, most=1)
    with pytest.raises(AssertionError, match=r"INCONCLUSIVE: numpy is \S+ — times as fast"):
        made.assert_speedup("numpy", at_least=2)


def test_without_timing_nothing_is_measured_and_names_are_still_checked():
    made, measurement = paired(THREE, timing=False)
    made.assert_speedup("numpy", at_least=1000)
    made.assert_not_slower("numpy", than="numba")
    assert (measurement.blocks, made.verdicts) == (0, [])
    with pytest.raises(
        CompareError, match="there is no function 'numb' in this comparison; there are reference, numpy"
    ):
        made.assert_speedup("numb", at_least=1)


@pytest.mark.parametrize("limit", [0, -1, float("nan"), float("inf"), "20", None, True])
def test_a_limit_that_is_no_positive_number_is_refused(limit):
    made, _ = paired(THREE)
    with pytest.raises(CompareError, match="at_least must be a positive number, such as 20"):
        made.assert_speedup("numpy", at_least=limit)


def test_a_tolerance_that_is_no_number_is_refused():
    made, _ = paired(THREE)
    with pytest.raises(CompareError, match="by must be a number above -1"):
        made.assert_not_slower("numpy", by=-1)


def test_a_function_that_differs_in_a_timed_call_fails_the_assertion_on_its_time():
    made, measurement = paired(THREE)
    measurement.evidence["numpy"] = [Evidence(1.0, 1.0, ""), Evidence(1.0, 2.0, "in a timed call")]
    with pytest.raises(AssertionError, match=r"numpy is not equal to the reference: in a timed call, result is 2\.0"):
        made.assert_speedup("numba", at_least=1)
    made.assert_equal(rtol=2)
    made.assert_speedup("numba", at_least=1)
    with pytest.raises(AssertionError, match="the check does not accept"):
        made.assert_equal(check=lambda one, other: one == other)


def test_a_function_that_raises_fails_with_its_exception():
    made, measurement = paired(THREE)
    measurement.failures["numpy"] = "raises ValueError: no"
    measurement.errors["numpy"] = ValueError("no")
    with pytest.raises(AssertionError, match="numpy raises ValueError: no") as info:
        made.assert_equal()
    assert info.value.__cause__ is measurement.errors["numpy"]


def decisions(seeds, **options):
    """Verdicts on assertions whose limit is the true speedup, so that each decision is an error."""
    found = []
    for seed in range(seeds):
        made, _ = paired({REFERENCE: 2e-3, "f": 1e-3}, seed=seed, noise=0.1, most=200, **options)
        with suppress(AssertionError):
            made.assert_speedup("f", at_least=2)
        found.append(made.verdicts[0].verdict)
    return sum(verdict != "INCONCLUSIVE" for verdict in found) / seeds


@pytest.mark.slow
def test_repeated_looks_err_no_more_often_than_stated():
    assert decisions(100) <= 0.05


@pytest.mark.slow
def test_looks_that_spend_no_alpha_err_too_often():
    assert decisions(100, spending=False) > 0.06


def test_the_result_of_a_test_that_asserts_nothing_on_times_is_timed_at_the_end():
    functions = FunctionSet.of(sum, {"same": sum}, ([1.0] * 100,), None, None)
    for timing in (True, False):
        measurement = comparing.start(functions, 1, BUDGET, False, 1.0)
        made = Paired(functions, measurement, timing)
        made.assert_equal()
        assert (made.finish().blocks > 0) is timing


def test_a_real_difference_is_decided_far_from_the_limit():
    def slow(values):
        return sum(sum(values) for _ in range(30)) / 30

    functions = FunctionSet.of(slow, {"quick": sum}, ([1.0] * 1000,), None, None)
    made = Paired(functions, comparing.start(functions, 1, 5.0, False, 1.0), True)
    made.assert_equal()
    made.assert_speedup("quick", at_least=3)
    with pytest.raises(AssertionError, match="FAIL"):
        made.assert_speedup("quick", at_least=3000)
    assert made.describe()["quick"].speedup.low >= 3
