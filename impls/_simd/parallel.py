"""Batches divided among threads; each thread computes a share of the samples.

The bounds of the shares depend only on the number of shares, and the results of the shares are added in a fixed order.
So the same number of threads always gives the same bits. Handing a share to a thread takes 2 µs.
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
from impls._simd import blocks, sample_blocks
from impls._simd.blocks import SMALL, workspace
from impls._simd.descent import transpose, update
from impls._simd.options import OPTIONS, jit, jit_inner
from impls._simd.packed import widest_product

WORK = 2**20
"""Multiplications in a batch's forward pass from which on two threads are faster than one."""

NODE = 50
"""Multiplications that take as long as one activation."""

WEIGHT = 300
"""Multiplications that take as long as adding one weight's gradient over the shares, and sharing the updated weight."""

PASSES = 3
"""Forward passes that take as long as one gradient."""

PRODUCT = 2**19
"""Multiplications in a matrix product up to which OpenBLAS uses one thread by default."""

jit_parallel = njit(parallel=True, **OPTIONS)

_one_call_at_a_time = Lock()


def threads() -> int:
    """Return the number of threads: the value of NUMBA_NUM_THREADS, or 1 if the variable is not set."""
    return int(os.environ.get("NUMBA_NUM_THREADS", "1"))


def least_forward(network: Network) -> int:
    """Return the smallest number of samples for which a forward pass is divided among threads."""
    return -(-WORK // _multiplications(network))


def least_gradient(network: Network) -> int:
    """Return the smallest number of samples for which a gradient is divided among threads."""
    return -(-(WORK + WEIGHT * sum(_weights(network))) // (PASSES * _multiplications(network)))


def _weights(network: Network) -> list[int]:
    return [n * m for n, m in network.shapes]


def _multiplications(network: Network) -> int:
    """Multiplications in the forward pass of one sample; activations count as NODE multiplications each."""
    return sum(_weights(network)) + NODE * sum(network.layer_sizes[1:])


def samples(P: Array, X: Array, *others: Any) -> int:
    """Return the number of samples in a call of a kernel other than ``train``, from its arguments."""
    return len(X)


def samples_of_step(P: Array, X: Array, Y: Array, G: Array, batch: int, *others: Any) -> int:
    """Return the number of samples in each step of a call of ``train``, from its arguments."""
    return batch


def divided(
    alone: Callable[..., Any], shared: Callable[..., Any], samples: Callable[..., int], least: int, network: Network
) -> Callable[..., Any]:
    """Return a kernel that calls ``shared`` for ``least`` samples or more, and ``alone`` for fewer samples.

    The last argument of ``shared`` is the number of shares. BLAS runs on one thread during the call: otherwise each of
    Numba's threads would in turn occupy all of BLAS's threads, and if the threads of BLAS and of Numba wait for the
    same processor, each turn takes milliseconds. A lock protects BLAS's thread count. The lock also serializes the use
    of Numba's thread pool, which is not thread-safe without OpenMP.
    """
    shares = threads()
    least, widest = max(least, shares), max(_weights(network))
    libraries = _blas() if widest > SMALL else ()
    small = min(least, -(-PRODUCT // widest)) if libraries else least

    def kernel(*arguments: Any) -> Any:
        n = samples(*arguments)
        if n < small:
            return alone(*arguments)
        with _one_call_at_a_time:
            counts = [library.get_num_threads() for library in libraries]
            try:
                for library in libraries:
                    _set_threads(library, 1)
                return alone(*arguments) if n < least else shared(*arguments, shares)
            finally:
                for library, count in zip(libraries, counts, strict=True):
                    _set_threads(library, count)

    return kernel


def _set_threads(library: Any, count: int) -> None:
    """Set the number of threads of a BLAS library, also in a thread other than the first that has set it.

    There, recent versions of threadpoolctl ignore ``set_num_threads``, lest threads compete; here a lock prevents that.
    """
    getattr(library, "_real_set_num_threads", library.set_num_threads)(count)


@cache
def _blas() -> Sequence[Any]:
    """Return threadpoolctl's controllers of the BLAS libraries, including SciPy's BLAS, which Numba calls."""
    import scipy.linalg.cython_blas  # noqa: F401
    from threadpoolctl import ThreadpoolController

    libraries: Sequence[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return libraries


@jit_inner
def bound(start: int, stop: int, share: int, shares: int) -> int:
    """Return the index at which a share of the samples start to stop begins, and the previous share ends."""
    return start + (stop - start) * share // shares


@jit_parallel
def forward_batch_shared(P: Array, X: Array, out: Array, shares: int) -> None:
    """``forward`` of a batch, divided into shares."""
    for share in prange(shares):
        first, last = bound(0, len(X), share, shares), bound(0, len(X), share + 1, shares)
        if widest_product(P) > SMALL:
            sample_blocks.forward(P, X[first:last], out[first:last])
        else:
            blocks.forward(P, X[first:last], out[first:last])


@jit_parallel
def total_loss_shared(P: Array, X: Array, Y: Array, shares: int) -> float:
    """``total_loss``, divided into shares."""
    losses = np.empty(shares)
    for share in prange(shares):
        first, last = bound(0, len(X), share, shares), bound(0, len(X), share + 1, shares)
        if widest_product(P) > SMALL:
            losses[share] = sample_blocks.total_loss(P, X[first:last], Y[first:last])
        else:
            losses[share] = blocks.total_loss(P, X[first:last], Y[first:last])
    total = 0.0
    for share in range(shares):
        total += losses[share]
    return total


@jit_inner
def transpose_share(X: Array, first: int, last: int, rows: int, transposed: Array) -> None:
    """Transpose the samples first to last of X (samples, n), in blocks of ``rows`` samples, into ``transposed``."""
    n = X.shape[1]
    for begin in range(first, last, rows):
        end = min(begin + rows, last)
        transpose(X[begin:end], transposed[begin * n : end * n].reshape(n, end - begin))


@jit_parallel
def transpose_in_blocks(X: Array, batch: int, rows: int, shares: int) -> Array:
    """Transpose X (samples, n) in blocks.

    The samples are split into batches of ``batch``, each batch into ``shares`` shares, one per thread, and each share
    into blocks of up to ``rows`` samples.
    """
    transposed = np.empty(X.size, X.dtype)
    for share in prange(shares):
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            transpose_share(
                X, bound(start, stop, share, shares), bound(start, stop, share + 1, shares), rows, transposed
            )
    return transposed


@jit_parallel
def batch_gradients(
    P: Array, X: Array, Y: Array, At: Array, Yt: Array, start: int, stop: int, rows: int, Gs: Array, works: Array
) -> Array:
    """``batch_gradient``, divided into shares, each with its own gradient and workspace; return their losses."""
    shares, is_narrow = len(Gs), widest_product(P) <= SMALL
    losses = np.empty(shares)
    for share in prange(shares):
        first, last = bound(start, stop, share, shares), bound(start, stop, share + 1, shares)
        G, work = Gs[share], works[share]
        if is_narrow:
            losses[share] = blocks.batch_gradient(P, At, Yt, first, last, rows, G, work)
        else:
            losses[share] = sample_blocks.batch_gradient(P, X, Y, first, last, rows, G, work)
    return losses


@jit_inner
def add_shares(Gs: Array, losses: Array, G: Array) -> float:
    """Write the sum of the shares' gradients into G; return the sum of the shares' losses."""
    total = losses[0]
    G[:] = Gs[0]
    for share in range(1, len(Gs)):
        total += losses[share]
        G += Gs[share]
    return total


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
    """``train``, with every batch divided into shares."""
    is_narrow = widest_product(P) <= SMALL
    rows = blocks.block_rows(P) if is_narrow else sample_blocks.gradient_rows(-(-batch // shares))
    Gs, works = np.empty((shares, len(G)), P.dtype), np.empty((shares, len(workspace(P, rows))), P.dtype)
    At, Yt = np.empty(0, X.dtype), np.empty(0, Y.dtype)
    if is_narrow:
        At, Yt = transpose_in_blocks(X, batch, rows, shares), transpose_in_blocks(Y, batch, rows, shares)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += add_shares(Gs, batch_gradients(P, X, Y, At, Yt, start, stop, rows, Gs, works), G)
            update(P, G, stop - start, learning_rate, bias_learning_rate, mean)
