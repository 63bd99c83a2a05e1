"""The function ``forward`` of a model, with the guard that lets one call at a time use the model's workspaces."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy import empty, ndarray
from numpy.typing import ArrayLike, NDArray

from impls._network import Network

Array = NDArray[Any]
Run = Callable[..., Any]

BUSY = "the model is in use by another thread; only one thread may use a model at a time: build one for each thread"


def guarded_calls(
    sample: Callable[[Array, Array], object],
    forward_batch: Callable[[Array], Array],
    inputs: Callable[[ArrayLike], Array],
    network: Network,
    dtype: np.dtype[Any],
    quietly: Run,
) -> tuple[Callable[[ArrayLike], Array], Callable[[], None], Callable[[], None]]:
    """Build a model's ``forward``, and the functions ``begin`` and ``end`` between which its other calls run.

    ``forward`` and ``begin`` raise RuntimeError while another call is under way. They are closures: attribute look-ups
    would take 5 % of the shortest call's time. The flag that they share takes 0.01 µs, and a lock would take several
    times that. No lock is needed: Python does not switch threads between testing the flag and setting it, because it
    makes no call in between.
    """
    sample_shape, output_shape = (network.n_in,), (network.n_out,)
    batch: Callable[[Array], Array] = partial(quietly, forward_batch)
    check: Callable[[ArrayLike], Array] = partial(quietly, inputs)
    busy = False

    def forward(x: ArrayLike) -> Array:
        nonlocal busy
        if busy:
            raise RuntimeError(BUSY)
        busy = True
        try:
            if x.__class__ is not ndarray or x.dtype is not dtype or x.shape != sample_shape:
                x = check(x)
                if x.ndim == 2:
                    return batch(x)
            out = empty(output_shape, dtype)
            sample(x, out)
            return out
        finally:
            busy = False

    def begin() -> None:
        nonlocal busy
        if busy:
            raise RuntimeError(BUSY)
        busy = True

    def end() -> None:
        nonlocal busy
        busy = False

    return forward, begin, end


def quietly() -> Run:
    """Return a function ``run(function, *arguments)`` that calls with NumPy's floating-point warnings off.

    Entering a stored context takes 0.06 µs; entering ``np.errstate`` would take 1.3 µs.
    """
    context = contextvars.copy_context()
    context.run(partial(np.seterr, all="ignore"))
    return context.run
