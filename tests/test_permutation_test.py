"""The permutation test, against an enumeration of all permutations."""

from itertools import product

import numpy as np
import pytest

from pairbench.permutation_test import p_value


@pytest.mark.parametrize("noise", ["normal", "cauchy", "ties"])
@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_p_value_is_that_of_all_permutations(noise, count):
    rng = np.random.default_rng(count)
    draw = {
        "normal": lambda: rng.normal(0.3, 1, (count, 3)),
        "cauchy": lambda: rng.standard_cauchy((count, 3)),
        "ties": lambda: rng.integers(0, 2, (count, 3)).astype(float),
    }[noise]
    for _ in range(5):
        times = draw()
        contrasts = 1.5 * (times - times.mean(axis=1, keepdims=True))
        limit = 2.5 * np.median(np.abs(contrasts)) or np.abs(contrasts).max() or 1.0
        steps = np.rint(np.clip(contrasts / limit, -1, 1) * 64)
        sums = [
            sum(row[head] for row, head in zip(steps, heads, strict=True)) for heads in product(range(3), repeat=count)
        ]
        assert p_value(contrasts) == pytest.approx(np.mean(np.array(sums) >= steps[:, 0].sum()))


def test_the_p_value_of_rounds_without_differences_is_one():
    assert p_value(np.zeros((6, 3))) == 1.0
