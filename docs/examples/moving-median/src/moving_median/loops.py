"""Python loops: one window is kept sorted, and each step replaces one of its values."""

from bisect import bisect_left, insort

import numpy as np
from numpy.typing import NDArray

from moving_median.window import middle_of


def moving_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The medians of all windows of this length.

    ``values`` are n numbers without NaN, and ``window`` is odd; there are n - window + 1 medians. Raises ValueError for
    another window.
    """
    middle = middle_of(values, window)
    series = values.tolist()  # Python's numbers are faster one by one than NumPy's
    ordered = sorted(series[:window])
    medians = [ordered[middle]]
    for old, new in zip(series, series[window:], strict=False):
        del ordered[bisect_left(ordered, old)]
        insort(ordered, new)
        medians.append(ordered[middle])
    return np.array(medians)
