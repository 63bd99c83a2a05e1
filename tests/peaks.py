"""A function for a fresh process, in a module of its own, because that process imports the module."""

import numpy as np

from bench.scale_out import methods


def peaks(size):
    """The largest memory of this process before and after it has made an array of so many bytes."""
    before = methods.peak_memory()
    np.ones(size // 8)  # freed at once
    return before, methods.peak_memory()
