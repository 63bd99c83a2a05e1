"""Slow processes, against SciPy's exact tests."""

import math

import numpy as np
import pytest
from scipy import stats

from pairbench import slow_processes


@pytest.mark.parametrize(
    ("head", "base", "rounds"), [(0, 0, 20), (1, 0, 20), (2, 0, 20), (2, 3, 27), (5, 4, 20), (20, 40, 20)]
)
def test_the_test_of_shares_is_fishers(head, base, rounds):
    slow = slow_processes.SlowProcesses(head, base, rounds, 0.1)
    table = [[head, rounds - head], [base, 2 * rounds - base]]
    assert slow.are_the_heads == (stats.fisher_exact(table, "greater").pvalue <= 0.35)


@pytest.mark.parametrize(("head", "rounds"), [(1, 20), (3, 27), (19, 20), (20, 20)])
def test_the_largest_effect_has_the_share_of_clopper_and_pearson(head, rounds):
    interval = stats.binomtest(head, rounds).proportion_ci(0.996, "exact")  # 99.8 % on each side
    assert slow_processes.SlowProcesses(head, 0, rounds, 0.1).largest_effect == pytest.approx(0.1 * interval.high)


def test_slow_processes_are_counted_by_side():
    times = np.random.default_rng(3).normal([0.08, 0.0, 0.0], 0.004, (20, 3))  # the head is always slower
    times[[3, 7], 0] += 0.2
    times[5, 1] += 0.2
    times[9, 2] -= 0.2  # fast, not slow
    contrasts = 1.5 * (times - times.mean(axis=1, keepdims=True))
    slow = slow_processes.count_slow(contrasts, 0.08, math.log1p(0.05))
    assert (slow.head, slow.base, slow.rounds) == (2, 1, 20)
    assert slow.excess == pytest.approx(0.2, abs=0.02)
    assert slow_processes.count_slow(contrasts, 0.08, 0.3).head == 0
    nothing = slow_processes.count_slow(np.zeros((20, 3)), 0.0, 0.0)
    assert (nothing.head, nothing.base, nothing.largest_effect) == (0, 0, 0.0)


def test_a_slow_process_is_six_times_further_away_than_usual():
    """Half of the distances are 0.01 and half 0.03, so that 0.02 is usual. The median of each round is 0."""
    times = np.array([[0.0, 0.01, -0.01], [0.0, 0.03, -0.03]] * 10)
    for height, count in ((0.11, 0), (0.13, 1)):
        times[5, 1] = height
        contrasts = 1.5 * (times - times.mean(axis=1, keepdims=True))
        slow = slow_processes.count_slow(contrasts, 0.0, 1e-9)
        assert (slow.head, slow.base) == (0, count)
