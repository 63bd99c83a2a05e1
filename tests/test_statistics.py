import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import binomtest, ttest_1samp

from pairbench import statistics

TIMES = st.floats(1e-9, 1e3)


@given(st.lists(st.lists(st.floats(-3, 3), min_size=1, max_size=7), min_size=2, max_size=12))
def test_interval_is_that_of_a_t_test_over_the_medians_of_the_processes(processes):
    medians = [float(np.median(blocks)) for blocks in processes]
    assume(np.ptp(medians) >= 1e-9)  # below, SciPy loses digits
    expected = ttest_1samp(medians, 0).confidence_interval(0.95)
    found = statistics.ratio_interval(processes)
    assert_allclose(
        np.log([found.estimate, found.low, found.high]), [np.mean(medians), *expected], rtol=1e-9, atol=1e-12
    )


def test_blocks_of_one_process_are_not_pooled():
    # A thousand blocks in each of two processes leave one degree of freedom.
    processes = [[0.0] * 1000, [0.1] * 1000]
    found = statistics.ratio_interval(processes)
    assert_allclose(math.log(found.high), 0.05 + 12.7062047364 * 0.05, rtol=1e-9)


def test_interval_covers_the_ratio_as_often_as_it_says():
    rng = np.random.default_rng(1)
    true, trials, covered = math.log(3), 2000, 0
    for _ in range(trials):
        of_process = rng.normal(true, 0.05, size=6)
        blocks = of_process[:, None] + rng.normal(0, 0.1, size=(6, 9))
        found = statistics.ratio_interval(blocks.tolist())
        covered += found.low <= 3 <= found.high
    assert binomtest(covered, trials, 0.95).pvalue > 1e-3


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
