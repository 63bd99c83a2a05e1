"""A batch on several threads, each with a share of its samples.

What a share is depends on the number of shares alone, and shares are added up in order: the same number of threads
gives the same bits, whichever thread does what and when. Handing a share over takes 2 µs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numba import njit, prange

from impls._backend import Array
from impls._network import Network
from impls._simd.blocks import SMALL, batch_gradient, block_rows, descend, forward_batch, room, total_loss, transpose
from impls._simd.options import OPTIONS, jit, jit_inner
from impls._simd.packed import size

WORK = 2**20
"""Multiplications, of forward passes of all samples, from which on two threads are quicker than one."""

NODE = 50
"""Multiplications that take as long as an activation."""

WEIGHT = 300
"""Multiplications that take as long as it does to add up the shares of a weight's gradient, and to send it around."""

PASSES = 3
"""Forward passes that take as long as a gradient."""

PRODUCT = 2**19
"""Multiplications up to which OpenBLAS leaves a product to one thread by itself."""

jit_parallel = njit(parallel=True, **OPTIONS)

_one_at_a_time = Lock()


def threads() -> int:
    """Threads that a batch is divided among: as many as NUMBA_NUM_THREADS says, which is one where it is not set."""
    return int(os.environ.get("NUMBA_NUM_THREADS", "1"))


def least_forward(network: Network) -> int:
    """Samples from which on a forward pass is divided."""
    return -(-WORK // _multiplications(network))


def least_gradient(network: Network) -> int:
    """Samples from which on a gradient is divided."""
    return -(-(WORK + WEIGHT * sum(_weights(network))) // (PASSES * _multiplications(network)))


def _weights(network: Network) -> list[int]:
    return [n * m for n, m in network.shapes]


def _multiplications(network: Network) -> int:
    """Those of one sample's forward pass, activations included."""
    return sum(_weights(network)) + NODE * sum(network.layer_sizes[1:])


def samples(P: Array, X: Array, *others: Any) -> int:
    """Samples that are divided, from the arguments of every kernel but ``train``."""
    return len(X)


def samples_of_step(P: Array, X: Array, Y: Array, G: Array, batch: int, *others: Any) -> int:
    """The same from those of ``train``."""
    return batch


def divided(
    alone: Callable[..., Any], shared: Callable[..., Any], samples: Callable[..., int], least: int, network: Network
) -> Callable[..., Any]:
    """The kernel ``alone``, and from so many samples on ``shared``, whose last argument is the number of shares.

    BLAS is on one thread meanwhile: called by several threads it would give each product to all of its own, by turns,
    and where its threads and Numba's wait for the same processor, each turn takes milliseconds. The lock is for
    BLAS's count, and for the threads that Numba has where there is no OpenMP.
    """
    shares = threads()
    least, widest = max(least, shares), max(_weights(network))
    libraries = _blas() if widest > SMALL else ()
    small = min(least, -(-PRODUCT // widest)) if libraries else least

    def kernel(*arguments: Any) -> Any:
        n = samples(*arguments)
        if n < small:
            return alone(*arguments)
        with _one_at_a_time:
            counts = [library.get_num_threads() for library in libraries]
            try:
                for library in libraries:
                    library.set_num_threads(1)
                return alone(*arguments) if n < least else shared(*arguments, shares)
            finally:
                for library, count in zip(libraries, counts, strict=True):
                    library.set_num_threads(count)

    return kernel


@cache
def _blas() -> Sequence[Any]:
    """The BLAS libraries, that of SciPy among them, which Numba calls."""
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    libraries: Sequence[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return libraries


@jit_inner
def bound(start: int, stop: int, share: int, shares: int) -> int:
    """Where a share of the samples start to stop begins, and the share before it ends."""
    return start + (stop - start) * share // shares


@jit_parallel
def forward_batch_shared(P: Array, X: Array, out: Array, shares: int) -> None:
    """``blocks.forward_batch`` in shares."""
    for share in prange(shares):
        first, last = bound(0, len(X), share, shares), bound(0, len(X), share + 1, shares)
        forward_batch(P, X[first:last], out[first:last])


@jit_parallel
def total_loss_shared(P: Array, X: Array, Y: Array, shares: int) -> float:
    """``blocks.total_loss`` in shares."""
    losses = np.empty(shares)
    for share in prange(shares):
        first, last = bound(0, len(X), share, shares), bound(0, len(X), share + 1, shares)
        losses[share] = total_loss(P, X[first:last], Y[first:last])
    total = 0.0
    for share in range(shares):
        total += losses[share]
    return total


@jit_inner
def turn(X: Array, first: int, last: int, rows: int, turned: Array) -> None:
    """Write the samples first to last of X (samples, n), transposed in blocks of ``rows``, into their places."""
    n = X.shape[1]
    for begin in range(first, last, rows):
        end = min(begin + rows, last)
        transpose(X[begin:end], turned[begin * n : end * n].reshape(n, end - begin))


@jit_parallel
def side_by_side(X: Array, Y: Array, batch: int, rows: int, shares: int) -> tuple[Array, Array]:
    """X and Y, transposed block by block: batches in shares in blocks of ``rows``."""
    At, Yt = np.empty(X.size, X.dtype), np.empty(Y.size, Y.dtype)
    for share in prange(shares):
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            first, last = bound(start, stop, share, shares), bound(start, stop, share + 1, shares)
            turn(X, first, last, rows, At)
            turn(Y, first, last, rows, Yt)
    return At, Yt


@jit_parallel
def batch_gradients(
    P: Array, X: Array, At: Array, Yt: Array, start: int, stop: int, rows: int, Gs: Array, firsts: Array, works: Array
) -> Array:
    """``blocks.batch_gradient`` in shares, each with a gradient and a workspace of its own; return their losses."""
    shares = len(Gs)
    losses = np.empty(shares)
    for share in prange(shares):
        first, last = bound(start, stop, share, shares), bound(start, stop, share + 1, shares)
        losses[share] = batch_gradient(P, X, At, Yt, first, last, rows, Gs[share], firsts[share], works[share])
    return losses


@jit_inner
def add_up(Gs: Array, losses: Array, G: Array) -> float:
    """Write the sum of the shares' gradients into G; return that of their losses."""
    total = losses[0]
    G[:] = Gs[0]
    for share in range(1, len(Gs)):
        total += losses[share]
        G += Gs[share]
    return total


@jit_inner
def rooms(P: Array, rows: int, G: Array, shares: int) -> tuple[Array, Array, Array]:
    """For each share a gradient, that of the first layer's weights, and a workspace."""
    first, work = size(P, 0) * size(P, 1), len(room(P, rows))
    return np.empty((shares, len(G)), P.dtype), np.empty((shares, first), P.dtype), np.empty((shares, work), P.dtype)


@jit
def train_shared(
    P: Array,
    X: Array,
    Y: Array,
    G: Array,
    batch: int,
    learning_rate: float,
    bias_learning_rate: float,
    mean: bool,
    losses: Array,
    shares: int,
) -> None:
    """``blocks.train`` with every batch in shares."""
    rows = block_rows(P)
    At, Yt = side_by_side(X, Y, batch, rows, shares)
    Gs, firsts, works = rooms(P, rows, G, shares)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += add_up(Gs, batch_gradients(P, X, At, Yt, start, stop, rows, Gs, firsts, works), G)
            if learning_rate > 0 or bias_learning_rate > 0:
                scale = 1 / (stop - start) if mean else 1.0
                descend(P, G, P.dtype.type(learning_rate * scale), P.dtype.type(bias_learning_rate * scale))
