import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import stdtrit
from scipy.stats import binom, binomtest, quantile_test, ttest_1samp

from pairbench import statistics

TIMES = st.floats(1e-9, 1e3)


LOGARITHMS = st.floats(-3, 3)
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


def oracle(values, confidence):
    """SciPy's interval of order statistics; without one, Student's t interval extended to all values."""
    ends = quantile_test(values, p=0.5).confidence_interval(confidence)
    if np.isfinite(ends.low) and np.isfinite(ends.high):
        return ends.low, ends.high
    low, high = ttest_1samp(values, 0).confidence_interval(confidence)
    return min(low, *values), max(high, *values)


@given(st.lists(st.lists(LOGARITHMS, min_size=1, max_size=7), min_size=2, max_size=16), LEVELS)
def test_interval_is_that_of_scipy_for_the_median_of_the_processes(processes, confidence):
    medians = [float(np.median(blocks)) for blocks in processes]
    assume(np.ptp(medians) >= 1e-9)  # below, SciPy loses digits
    found = statistics.ratio_interval(processes, confidence)
    expected = np.median(medians), *oracle(medians, confidence)
    if expected[2] > np.log(np.finfo(float).max):
        assert (found.low, found.high) == (None, None)
        return
    assert_allclose(np.log([found.estimate, found.low, found.high]), expected, rtol=1e-9, atol=1e-9)


def test_an_interval_beyond_the_range_of_numbers_has_no_ends():
    found = statistics.ratio_interval([[1.0], [-2.0]], 0.999)
    assert (found.estimate, found.low, found.high) == (math.exp(-0.5), None, None)


@given(st.lists(LOGARITHMS, min_size=2, max_size=12), st.lists(LOGARITHMS, min_size=2, max_size=12))
def test_interval_of_two_runs_adds_the_distances_of_each_as_sides_of_a_right_triangle(numerator, denominator):
    assume(min(np.ptp(numerator), np.ptp(denominator)) >= 1e-9)
    found = statistics.unpaired_ratio(numerator, denominator)
    over, under = np.median(numerator), np.median(denominator)
    (a, b), (c, d) = oracle(numerator, 0.95), oracle(denominator, 0.95)
    estimate, down, up = over - under, abs(complex(over - a, d - under)), abs(complex(b - over, under - c))
    expected = estimate, estimate - down, estimate + up
    assert_allclose(np.log([found.estimate, found.low, found.high]), expected, rtol=1e-9, atol=1e-9)
    opposite = statistics.unpaired_ratio(denominator, numerator)
    assert_allclose([1 / opposite.high, 1 / opposite.low], [found.low, found.high])


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_the_order_statistics_are_the_narrowest_that_keep_the_confidence(confidence):
    for count in [*range(2, 40), 1000, 3000]:
        k = statistics.order_statistic(count, confidence)
        assert k == 0 or 1 - 2 * binom.cdf(k - 1, count, 0.5) >= confidence - 1e-12
        assert 1 - 2 * binom.cdf(k, count, 0.5) < confidence


def test_as_documented_ten_and_six_processes_have_an_interval_and_five_have_not():
    assert [statistics.order_statistic(count, 0.95) for count in (10, 6, 5)] == [2, 1, 0]
    assert [statistics.order_statistic(count, 0.99) for count in (8, 7)] == [1, 0]


def test_blocks_of_one_process_are_not_pooled():
    # A thousand blocks in each of two processes leave one degree of freedom.
    processes = [[0.0] * 1000, [0.1] * 1000]
    found = statistics.ratio_interval(processes)
    assert_allclose(math.log(found.high), 0.05 + 12.7062047364 * 0.05, rtol=1e-9)


def slow(share, low=0.08, high=0.1):
    """Ratios with this share of processes that are slow for their whole life, by 8 to 10 %."""
    return lambda rng, shape: rng.normal(0, 0.01, shape) + (rng.random(shape) < share) * rng.uniform(low, high, shape)


def slow_denominators(share):
    return lambda rng, shape: -slow(share)(rng, shape)


def lognormal(rng, shape):
    return rng.lognormal(0, 1, shape) / 100


DISTRIBUTIONS = [*map(slow, (0, 0.025, 0.1, 0.25)), slow_denominators(0.1), lognormal]


def coverage_is_enough(ends, draw, count, center, least=0.93, runs=2000):
    """Whether the ends contain the true center in at least this share of runs, up to chance."""
    rng = np.random.default_rng(1)
    true = center(draw(rng, 1_000_000))
    intervals = [ends(values) for values in draw(rng, (runs, count)).tolist()]
    covered = sum(low <= true <= high for low, high in intervals)
    return binomtest(covered, runs, least, alternative="less").pvalue > 1e-3


def student(values):
    half = stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(len(values))
    return np.mean(values) - half, np.mean(values) + half


def one_too_narrow(values):
    """The order statistics next to those of ``median_ends``."""
    k = statistics.order_statistic(len(values), 0.95) + 1
    return sorted(values)[k - 1], sorted(values)[-k]


@pytest.mark.parametrize("draw", DISTRIBUTIONS)
@pytest.mark.parametrize("count", [4, 6, 10])
def test_interval_covers_the_median_whatever_the_share_of_slow_processes(draw, count):
    assert coverage_is_enough(statistics.median_ends, draw, count, np.median)


@pytest.mark.parametrize("count", [6, 10])
def test_coverage_of_six_or_more_processes_is_that_of_the_binomial_distribution(count):
    halves = slow(0.5)  # two groups, one at either side of the median
    k = statistics.order_statistic(count, 0.95)
    least = 1 - 2 * binom.cdf(k - 1, count, 0.5)
    assert least > 0.96
    assert coverage_is_enough(statistics.median_ends, halves, count, np.median, least)


@pytest.mark.parametrize(
    ("ends", "draw", "count", "center"),
    [
        (student, slow(0.1), 10, np.mean),
        (student, slow(0.25), 4, np.mean),
        (student, lognormal, 10, np.mean),
        (student, slow(0.25), 10, np.median),
        (one_too_narrow, slow(0), 6, np.median),
        (one_too_narrow, slow(0), 10, np.median),
        (lambda values: (min(values), max(values)), slow(0), 4, np.median),
    ],
)
def test_other_intervals_do_not_cover_enough(ends, draw, count, center):
    assert not coverage_is_enough(ends, draw, count, center)


def test_equal_processes_have_an_interval_without_width():
    for count in (2, 5, 6, 10):
        found = statistics.ratio_interval([[0.1]] * count)
        assert (found.low, found.high) == pytest.approx((found.estimate, found.estimate))
        assert found.low <= found.estimate <= found.high
        both = statistics.unpaired_ratio([0.1] * count, [0.1] * 6)
        assert (both.low, both.estimate, both.high) == pytest.approx((1, 1, 1))


def test_two_runs_need_two_processes_each():
    assert statistics.unpaired_ratio([0.1, 0.3], [0.0]) == statistics.Interval(pytest.approx(math.exp(0.2)), None, None)
    assert statistics.unpaired_ratio([0.0], [0.1, 0.3]) == statistics.Interval(
        pytest.approx(math.exp(-0.2)), None, None
    )


@given(
    st.dictionaries(st.integers(0, 30), st.tuples(TIMES, TIMES, st.floats(1e-3, 1e3)), min_size=1),
)
def test_a_slowdown_of_both_arms_of_a_block_cancels(blocks):
    steady = statistics.log_ratios(
        {block: a for block, (a, _, _) in blocks.items()}, {block: b for block, (_, b, _) in blocks.items()}
    )
    drifting = statistics.log_ratios(
        {block: a * drift for block, (a, _, drift) in blocks.items()},
        {block: b * drift for block, (_, b, drift) in blocks.items()},
    )
    assert_allclose(drifting, steady, atol=1e-12, rtol=0)


def test_only_blocks_with_both_arms_count():
    assert statistics.log_ratios({0: 1.0, 1: 2.0, 2: 4.0}, {1: 1.0, 3: 5.0}) == [math.log(2)]


def test_one_outlier_block_does_not_move_a_process():
    calm = statistics.ratio_interval([[0.1] * 5, [0.2] * 5])
    assert statistics.ratio_interval([[0.1] * 4 + [9.0], [0.2] * 5]) == calm


def test_one_process_gives_no_interval_and_none_gives_no_ratio():
    assert statistics.ratio_interval([[math.log(2)], []]) == statistics.Interval(pytest.approx(2), None, None)
    assert statistics.ratio_interval([[], []]) is None
    assert statistics.median_seconds([[]]) is None


def test_seconds_is_the_median_of_medians():
    assert statistics.median_seconds([[1.0, 2.0, 9.0], [4.0], [], [3.0]]) == 3.0


@given(st.floats(1e-3, 100), TIMES, TIMES)
def test_break_even_is_the_first_number_of_calls_that_is_no_slower(compiling, reference, backend):
    calls = statistics.break_even(compiling, reference, backend)
    if calls is None:
        assert backend >= reference
    else:
        assert compiling + calls * backend <= calls * reference * (1 + 1e-9)
        assert compiling + (calls - 1) * backend >= (calls - 1) * reference * (1 - 1e-9)
