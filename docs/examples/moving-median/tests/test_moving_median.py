"""All versions against ``statistics.median``, which shares no code with them."""

import statistics

import numpy as np
import pytest

from moving_median import compiled, loops, vectorized

VERSIONS = [loops.moving_median, vectorized.moving_median, compiled.moving_median]

each_version = pytest.mark.parametrize("moving_median", VERSIONS, ids=["loops", "numpy", "numba"])


@each_version
@pytest.mark.parametrize("window", [1, 3, 9, 41])
@pytest.mark.parametrize("different", [2, 5, 1000], ids=lambda count: f"{count} different values")
def test_the_medians_are_exact(moving_median, window, different):
    """A median of an odd number of values is one of them, so nothing is rounded."""
    values = np.random.default_rng(window).integers(-different, different, 41) / 8
    expected = [statistics.median(values[start : start + window]) for start in range(41 - window + 1)]
    assert moving_median(values, window).tolist() == expected


@each_version
def test_the_values_stay_as_they_were(moving_median):
    """The windows are sorted, the values are not."""
    values = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    moving_median(values, 3)
    assert values.tolist() == [3.0, 1.0, 2.0, 5.0, 4.0]


@each_version
@pytest.mark.parametrize("window", [-1, 0, 2, 7])
def test_other_windows_are_refused(moving_median, window):
    """An even window has no value in the middle."""
    with pytest.raises(ValueError, match="the window must be odd, and from 1 to the 5 values"):
        moving_median(np.zeros(5), window)
