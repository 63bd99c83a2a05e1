"""The digits of scikit-learn, repeated to any number of samples and made in parts, so that they fit any memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.tutorials import datasets
from impls import Array, Network

NETWORK = Network((64, 30, 10))
"""The network of the tutorial's classifier of digits."""
DIGITS = 1797
"""Number of different samples; sample i is digit i mod DIGITS."""
SAMPLE_BYTES = 8 * (NETWORK.n_in + NETWORK.n_out)


def inputs(start: int, stop: int) -> Array:
    """The inputs of samples ``start`` to ``stop``, (samples, 64): standardized images."""
    return datasets.standardized_digits().take(_digits(start, stop), axis=0)


def classes(start: int, stop: int) -> Array:
    """The classes of samples ``start`` to ``stop``, (samples,): 0 to 9."""
    return datasets.load_digits_data()[1].take(_digits(start, stop))


def targets(start: int, stop: int) -> Array:
    """The targets of samples ``start`` to ``stop``, (samples, 10): one-hot classes."""
    return datasets.one_hot(classes(start, stop))


def parts(samples: int, rows: int) -> list[tuple[int, int]]:
    """The start and the stop of each part of up to ``rows`` samples."""
    return [(start, min(start + rows, samples)) for start in range(0, samples, rows)]


def dask_arrays(samples: int, rows: int) -> tuple[Any, Any]:
    """X (samples, 64) and Y (samples, 10) as Dask arrays whose blocks are the parts, made when they are needed."""
    import dask.array as da

    sizes = tuple(stop - start for start, stop in parts(samples, rows))
    X, Y = (
        da.map_blocks(function, chunks=(sizes, (width,)), dtype=np.float64, meta=np.empty((0, 0)))
        for function, width in ((_block_of_inputs, NETWORK.n_in), (_block_of_targets, NETWORK.n_out))
    )
    return X, Y


def _digits(start: int, stop: int) -> Array:
    return np.arange(start, stop) % DIGITS


def _block_of_inputs(block_info: Any) -> Array:
    return inputs(*block_info[None]["array-location"][0])


def _block_of_targets(block_info: Any) -> Array:
    return targets(*block_info[None]["array-location"][0])
