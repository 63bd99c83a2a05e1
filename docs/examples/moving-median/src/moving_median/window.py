"""The check of the arguments, which all versions share."""

import numpy as np
from numpy.typing import NDArray


def middle_of(values: NDArray[np.float64], window: int) -> int:
    """The index of the median in a sorted window. Raises ValueError for a window that the versions do not support."""
    if window % 2 == 0 or not 1 <= window <= len(values):
        raise ValueError(f"the window must be odd, and from 1 to the {len(values)} values, not {window}")
    return window // 2
