"""Batches divided among threads; each thread computes a share of the samples.

The bounds of the shares depend only on the number of shares, and the results of the shares are added in a fixed order.
So the same number of threads always gives the same bits. Handing a share to a thread takes 2 µs.

The kernel that computes a share is called by its address. If it were called by name, LLVM would compile all of its code
again for every function here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from impls._backend import Array
from impls._network import Network
from impls._simd.blocks import is_narrow
from impls._simd.descent import update
from impls._simd.options import OPTIONS, jit, jit_inner

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
    alone: Callable[..., Any],
    shared: Callable[..., Any],
    address: int,
    samples: Callable[..., int],
    least: int,
    network: Network,
) -> Callable[..., Any]:
    """Return a kernel that calls ``shared`` for ``least`` samples or more, and ``alone`` for fewer samples.

    ``shared`` also gets the address of ``alone`` and the number of shares.

    BLAS runs on one thread during the call: otherwise each of Numba's threads would in turn occupy all of BLAS's
    threads, and if the threads of BLAS and of Numba wait for the same processor, each turn takes milliseconds. A lock
    protects BLAS's thread count. The lock also serializes the use of Numba's thread pool, which is not thread-safe
    without OpenMP.
    """
    shares = threads()
    least = max(least, shares)
    libraries = () if is_narrow(network) else _blas()
    small = min(least, -(-PRODUCT // max(_weights(network)))) if libraries else least

    def kernel(*arguments: Any) -> Any:
        n = samples(*arguments)
        if n < small:
            return alone(*arguments)
        with _one_call_at_a_time:
            counts = [library.get_num_threads() for library in libraries]
            try:
                for library in libraries:
                    _set_threads(library, 1)
                return alone(*arguments) if n < least else shared(*arguments, address, shares)
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
def bound(samples: int, share: int, shares: int) -> int:
    """Return the index at which a share of the samples begins, and the previous share ends."""
    return samples * share // shares


def forward_type(vector: Any, matrix: Any) -> Any:
    """Type of the kernel ``forward`` of a batch, from the types of a vector and of a matrix in the model's dtype."""
    return types.void(vector, matrix, matrix)


def total_loss_type(vector: Any, matrix: Any) -> Any:
    """Type of the kernel ``total_loss``."""
    return types.float64(vector, matrix, matrix)


def train_type(vector: Any, matrix: Any) -> Any:
    """Type of the kernel ``train``: the model, X, Y, the gradient, batch, two rates, mean, and the losses."""
    settings = types.int64, types.float64, types.float64, types.boolean
    return types.void(vector, matrix, matrix, vector, *settings, types.Array(types.float64, 1, "C"))


def _function_at(type_of: Callable[..., Any]) -> Any:
    """Return an intrinsic that makes an address a function of the type ``type_of(P, X)``.

    An error in the function is raised, as in a call by name.
    """

    def function_at(typing: Any, address: Any, P: Any, X: Any) -> Any:
        kind = types.FunctionType(type_of(P, X))

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            function = cgutils.create_struct_proxy(kind)(context, builder)
            function.jit_addr = builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))
            return function._getvalue()

        return kind(address, P, X), generate

    return intrinsic(function_at)


forward_at, total_loss_at, train_at = map(_function_at, (forward_type, total_loss_type, train_type))


@jit_inner
def require_all(done: Array) -> None:
    """Raise MemoryError if a share is not done: Numba forgets the errors of all threads but the first."""
    for share in range(len(done)):
        if not done[share]:
            raise MemoryError("a thread found no memory for its workspace")


@jit_parallel
def forward_shared(P: Array, X: Array, out: Array, address: int, shares: int) -> None:
    """``forward`` of a batch, divided into shares."""
    forward, done = forward_at(address, P, X), np.zeros(shares, np.bool_)
    for share in prange(shares):
        first, last = bound(len(X), share, shares), bound(len(X), share + 1, shares)
        forward(P, X[first:last], out[first:last])
        done[share] = True
    require_all(done)


@jit_parallel
def total_loss_shared(P: Array, X: Array, Y: Array, address: int, shares: int) -> float:
    """``total_loss``, divided into shares."""
    total_loss, losses, done = total_loss_at(address, P, X), np.empty(shares), np.zeros(shares, np.bool_)
    for share in prange(shares):
        first, last = bound(len(X), share, shares), bound(len(X), share + 1, shares)
        losses[share] = total_loss(P, X[first:last], Y[first:last])
        done[share] = True
    require_all(done)
    total = 0.0
    for share in range(shares):
        total += losses[share]
    return total


@jit_parallel
def batch_gradients(P: Array, X: Array, Y: Array, Gs: Array, losses: Array, address: int) -> None:
    """Write the gradient and the loss of each share of a batch into Gs (shares, weights) and losses (shares,)."""
    shares, train, done = len(Gs), train_at(address, P, X), np.zeros(len(Gs), np.bool_)
    for share in prange(shares):
        first, last = bound(len(X), share, shares), bound(len(X), share + 1, shares)
        loss = losses[share : share + 1]
        train(P, X[first:last], Y[first:last], Gs[share], last - first, 0.0, 0.0, False, loss)
        done[share] = True
    require_all(done)


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
    address: int,
    shares: int,
) -> None:
    """``train``, with every batch divided into shares; the gradient of a share is a training at rates of 0."""
    Gs, losses_of_shares = np.empty((shares, len(G)), P.dtype), np.empty(shares)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            used = min(shares, stop - start)  # the last batch may have fewer samples than there are shares
            batch_gradients(P, X[start:stop], Y[start:stop], Gs[:used], losses_of_shares, address)
            losses[epoch] += add_shares(Gs[:used], losses_of_shares, G)
            update(P, G, stop - start, learning_rate, bias_learning_rate, mean)
