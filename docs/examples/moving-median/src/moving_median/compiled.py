"""Numba: one window is kept sorted by moving its values, which for a short window is faster than any search."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from moving_median.window import middle_of


def moving_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The medians of all windows of this length; see ``loops.moving_median``."""
    return _medians(values, window, middle_of(values, window))


@njit(cache=True)
def _medians(values, window, middle):
    ordered = np.sort(values[:window])
    medians = np.empty(len(values) - window + 1)
    medians[0] = ordered[middle]
    for step in range(len(medians) - 1):
        old, new = values[step], values[step + window]
        place = 0
        while ordered[place] != old:
            place += 1
        while place + 1 < window and ordered[place + 1] < new:
            ordered[place] = ordered[place + 1]
            place += 1
        while place > 0 and ordered[place - 1] > new:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = new
        medians[step + 1] = ordered[middle]
    return medians
