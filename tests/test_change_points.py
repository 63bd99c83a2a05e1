"""The search for changes of a level, against the best of all segmentations."""

import math
from itertools import combinations, pairwise

import numpy as np
import pytest

from pairbench import change_points
from pairbench.change_points import segments


def best_by_enumeration(values, least):
    """The segmentation of least cost, of all that there are."""
    count = len(values)
    spread = np.mean([abs(b - a) for a, b in pairwise(values)]) / 1.1283791670955126  # 2 / √π
    choices = []
    for changes in range(count):
        for inner in combinations(range(1, count), changes):
            parts = [range(a, b) for a, b in pairwise([0, *inner, count])]
            if min(map(len, parts)) >= least:
                squares = sum(np.var([values[i] for i in part]) * len(part) for part in parts) / spread**2
                choices.append((squares + changes * change_points.PENALTY * math.log(count), parts))
    return min(choices, key=lambda choice: choice[0])[1]


@pytest.mark.parametrize("least", [1, 2, 3])
def test_the_segments_are_the_best_of_all(least):
    found = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        values = random.normal(0, 1, 9)
        for position in random.integers(1, 9, seed % 3):
            values[position:] += random.normal(0, 15)
        best = best_by_enumeration(values.tolist(), least)
        assert segments(values.tolist(), least) == best
        found.append(len(best))
    assert {1, 2} <= set(found)  # the comparison is of some use


def test_short_empty_and_equal_series():
    assert segments([], 2) == []
    assert segments([0.0, 9.0, 0.0], 2) == [range(3)]
    assert segments([3.0] * 30, 2) == [range(30)]


def test_neither_the_unit_nor_the_level_matters():
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(0, 1, 20), random.normal(8, 1, 20), random.normal(0, 1, 20)])
    assert segments(values.tolist(), 2) == [range(20), range(20, 40), range(40, 60)]
    assert segments((1e-3 * values - 40).tolist(), 2) == segments(values.tolist(), 2)


def test_quiet_series_rarely_have_a_change_even_if_neighbours_correlate():
    random = np.random.default_rng(2)
    noise = random.normal(0, 1, (200, 61))
    assert sum(len(segments(series.tolist(), 2)) > 1 for series in noise) == 0
    correlated = noise[:, 1:] + 0.5 * noise[:, :-1]  # the correlation of neighbours is 0.4
    assert sum(len(segments(series.tolist(), 2)) > 1 for series in correlated) <= 10


def test_a_single_outlier_is_no_segment():
    values = np.random.default_rng(3).normal(0, 1, 60)
    values[12] -= 40
    assert all(len(part) > 1 for part in segments(values.tolist(), 2))
    assert range(12, 13) in segments(values.tolist(), 1)
