"""The network in Numba at the limit, with hand-written vector kernels.

The kernels are in ``impls/_simd``. The list names each module, its optimization, and the time that the optimization
saves, in float64 on one thread of a processor with AVX-512.

- ``packed.py``: A model is one array, because Numba takes 0.03 µs to unpack each argument. The array also holds the
  network's layer sizes and activations, so a new network needs no compilation. Calling the compiled function without
  Numba's dispatcher saves 0.1 µs. Every row of weights starts at a vector boundary: one sample takes 6.3 µs instead of
  9.2 for 784-128-10, and 1.64 µs instead of 1.92 for 100-100-50-10.
- ``affine.py``: The sums of one sample stay in registers, which Numba cannot express: a layer of 100 × 100 takes
  0.69 µs instead of 1.2.
- ``target.py``: The size of vectors and of tiles follows from the processor that Numba compiles for.
- ``functions.py``: Polynomials compute eight exponentials at a time: a sigmoid takes 0.7 ns; ``math.exp`` takes 4.7.
- ``blocks.py``: A batch goes through all layers in blocks that fit the cache. The loops run over the samples, so that
  even layers of two nodes fill vectors: an epoch of 1000 samples of 2-4-3-1 takes 11 µs instead of 134. BLAS computes
  the products of wide layers, with the operands in its faster orientation: the gradient of a 64 × 30 layer takes 3.0 µs
  per block instead of 6.5.
- ``tiles.py``: In a forward pass through wide layers, the sums stay in registers, and the operands are not copied, as
  they are in BLAS: 1024 samples take 3.1 ms instead of 4.2 for 784-128-10, 0.53 ms instead of 0.59 for 100-100-50-10,
  and 95 µs instead of 110 for 64-30-10.
- ``samples.py``: For updates by single samples, the forward pass, the backward pass and the update are inlined and
  create no array: an epoch of four updates of 2-3-1 takes 0.4 µs instead of 4.2.
- ``parts.py``: Parts of arrays have no reference count. A slice is counted with atomic instructions, which took a third
  of the epoch of 2-3-1, a fifth of an epoch of 2-4-3-1, a sixth of an epoch of 64-30-10, and 4 s of compiling.
- ``options.py``: Only the functions that Python calls get a Python wrapper, and functions with one caller are inlined
  before compilation. Compiling all kernels takes 11 s; without the first measure 12 s, without both 13 s.
- ``parallel.py``: Two threads divide a batch: 1024 samples of 100-100-50-10 take 0.34 ms instead of 0.61.

NUMBA_NUM_THREADS sets the number of threads. If the variable is not set, there is one thread.
"""

from collections.abc import Callable
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, types

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._codes import ACTIVATIONS, LOSSES
from impls._network import Parameters
from impls._numba import compile_cached, require_compiler
from impls._simd import parallel
from impls._simd.affine import BYTES
from impls._simd.blocks import forward_batch, total_loss, train
from impls._simd.samples import forward, train_singly

require_compiler()

MOST_EXACT = {"float64": 2**53, "float32": 2**24}
"""The largest layer size that the header can store: up to it, every integer is exact in the model's dtype."""


class Kernels(NamedTuple):
    """The compiled functions, called without Numba's dispatchers, which would check the argument types again."""

    forward: Callable[..., Any]
    forward_batch: Callable[..., Any]
    total_loss: Callable[..., Any]
    train: Callable[..., Any]
    train_singly: Callable[..., Any]


def _entry(function: Any, *signature: Any) -> Callable[..., Any]:
    entry: Callable[..., Any] = compile_cached(function, signature).entry_point
    return entry


def _aligned(values: Array, index: int) -> Array:
    """Copy values (n,) so that element ``index`` of the copy lies at a vector boundary in memory."""
    lanes = BYTES // values.itemsize
    buffer = np.empty(len(values) + lanes, values.dtype)
    start = -(buffer.ctypes.data // values.itemsize + index) % lanes
    copy = buffer[start : start + len(values)]
    copy[:] = values
    return copy


class Model(_backend.Model):
    """Numba at the limit: hand-written vector kernels, one packed array, BLAS for wide layers."""

    dtypes = ("float64", "float32")
    compiles = True

    def _store(self, parameters: Parameters) -> None:
        network = self.network
        if max(network.layer_sizes) > MOST_EXACT[self.dtype.name]:
            raise ValueError(
                f"numba_simd does not support layers of more than {MOST_EXACT[self.dtype.name]} nodes in {self.dtype}"
            )
        codes = ACTIVATIONS[network.hidden], ACTIVATIONS[network.output], LOSSES[network.loss]
        header = [len(network.shapes), *codes, *network.layer_sizes]
        padded = [self._padded(part) for W, b in parameters for part in (b, W)]
        room = np.zeros(sum(network.layer_sizes) + BYTES // self.dtype.itemsize)
        packed = np.concatenate([header, *padded, room]).astype(self.dtype)
        self._packed = _aligned(packed, len(header) + len(padded[0]))
        self._gradients = np.zeros(sum((n + 1) * m for n, m in network.shapes), self.dtype)
        self._first = len(header)

        real = from_dtype(self.dtype)
        strided = types.Array(real, 1, "A", readonly=True)
        vector, matrix = types.Array(real, 1, "C"), types.Array(real, 2, "C")
        losses = types.Array(types.float64, 1, "C")
        scalars = types.int64, types.float64, types.float64, types.boolean
        self._kernels = Kernels(
            forward=_entry(forward, vector, strided, vector),
            forward_batch=_entry(forward_batch, vector, matrix, matrix),
            total_loss=_entry(total_loss, vector, matrix, matrix),
            train=_entry(train, vector, matrix, matrix, vector, *scalars, losses),
            train_singly=_entry(train_singly, vector, matrix, matrix, types.float64, types.float64, losses),
        )
        if parallel.threads() > 1:
            self._kernels = self._multithreaded(self._kernels, vector, matrix, scalars, losses)
        self._forward_sample = MethodType(self._kernels.forward, self._packed)

    def _multithreaded(self, single: Kernels, vector: Any, matrix: Any, scalars: Any, losses: Any) -> Kernels:
        """Replace the kernels for batches by kernels that divide large batches among threads."""
        divided, shares = partial(parallel.divided, network=self.network), types.int64
        least_forward, least_gradient = parallel.least_forward(self.network), parallel.least_gradient(self.network)
        shared_forward = _entry(parallel.forward_batch_shared, vector, matrix, matrix, shares)
        shared_loss = _entry(parallel.total_loss_shared, vector, matrix, matrix, shares)
        shared_train = _entry(parallel.train_shared, vector, matrix, matrix, vector, *scalars, losses, shares)
        return single._replace(
            forward_batch=divided(single.forward_batch, shared_forward, parallel.samples, least_forward),
            total_loss=divided(single.total_loss, shared_loss, parallel.samples, least_forward),
            train=divided(single.train, shared_train, parallel.samples_of_step, least_gradient),
        )

    def _padded_width(self, m: int) -> int:
        """Number of elements that a row of m weights or biases takes in the packed array, padding included."""
        lanes = BYTES // self.dtype.itemsize
        return m if m < lanes else -(-m // lanes) * lanes

    def _padded(self, rows: Array) -> Array:
        """Flatten the rows of weights or biases, each padded with zeros."""
        m = rows.shape[-1]
        return np.pad(rows.reshape(-1, m), [(0, 0), (0, self._padded_width(m) - m)]).reshape(-1)

    def _unpacked(self, flat: Array, width: Callable[[int], int]) -> Gradient:
        pairs, p = [], 0
        for n, m in self.network.shapes:
            rows = flat[p : p + (n + 1) * width(m)].reshape(n + 1, width(m))
            pairs.append((rows[1:, :m], rows[0, :m]))
            p += rows.size
        return pairs

    def _fetch(self) -> LayerArrays:
        return self._unpacked(self._packed[self._first :], self._padded_width)

    def _forward_batch(self, X: Array) -> Array:
        out = np.empty((len(X), self.network.n_out), self.dtype)
        self._kernels.forward_batch(self._packed, X, out)
        return out

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._kernels.total_loss(self._packed, X, Y))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        gradients, losses = np.empty_like(self._gradients), np.empty(1)
        self._kernels.train(self._packed, X, Y, gradients, len(X), 0.0, 0.0, False, losses)
        return losses[0], self._unpacked(gradients, int)

    def _train(self, X: Array, Y: Array, descent: Descent) -> Any:
        losses = np.empty(descent.epochs)
        rates = descent.learning_rate, descent.bias_learning_rate
        if descent.size == 1:
            self._kernels.train_singly(self._packed, X, Y, *rates, losses)
        else:
            self._kernels.train(self._packed, X, Y, self._gradients, descent.size, *rates, descent.mean, losses)
        return losses
