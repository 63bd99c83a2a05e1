"""NumPy: all windows are partitioned at once."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from moving_median.window import middle_of


def moving_median(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The medians of all windows of this length; see ``loops.moving_median``."""
    middle = middle_of(values, window)
    windows = sliding_window_view(values, window)
    return np.partition(windows, middle, axis=1)[:, middle]
