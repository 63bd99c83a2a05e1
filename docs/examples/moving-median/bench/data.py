"""The data that the benchmarks use."""

import numpy as np
from numpy.typing import NDArray


def make() -> tuple[NDArray[np.float64], int]:
    """The arguments of ``moving_median``: 3000 values, and a window of 21."""
    return np.random.default_rng(1).standard_normal(3000), 21
