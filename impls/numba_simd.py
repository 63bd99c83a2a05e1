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
  even layers of two nodes fill vectors: an epoch of 1000 samples of 2-4-3-1 takes 11 µs instead of 134.
- ``sample_blocks.py``: The other layout of a block, (samples, nodes), for wider layers, which fill vectors as they are.
  Tiles compute the products of the forward pass, and BLAS those of the gradient, except where a layer has few inputs or
  outputs: with loops, the gradient of 1463-2 for 989 samples in float32 takes 0.55 times as long on AVX2.
- ``tiles.py``: In a forward pass through wide layers, the sums stay in registers, the weights stay in the L1 cache for
  a whole block, and the operands are not copied, as they are in BLAS: 256 samples of a layer of 784 × 128 take 0.93 ms
  instead of 1.05, 570 samples of 1778 × 155 take 6.2 ms instead of 7.9.
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
from functools import cached_property
from itertools import accumulate
from types import MethodType
from typing import Any

import numpy as np
from numba import from_dtype, types

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._codes import ACTIVATIONS, LOSSES
from impls._network import Network, Parameters
from impls._numba import address_of, entry_point, require_compiler
from impls._simd import blocks, parallel, sample_blocks
from impls._simd.affine import BYTES
from impls._simd.packed import padded_size, padded_width
from impls._simd.samples import forward, train_singly

require_compiler()

MOST_EXACT = {"float64": 2**53, "float32": 2**24}
"""The largest layer size that the header can store: up to it, every integer is exact in the model's dtype."""


def _aligned(values: Array, index: int) -> Array:
    """Copy values (n,) so that element ``index`` of the copy lies at a vector boundary in memory."""
    lanes = BYTES // values.itemsize
    buffer = np.empty(len(values) + lanes, values.dtype)
    start = -(buffer.ctypes.data // values.itemsize + index) % lanes
    copy = buffer[start : start + len(values)]
    copy[:] = values
    return copy


class Kernels:
    """The compiled functions, each compiled when it is first used.

    They are called without Numba's dispatchers, which would check the argument types again. With several threads, a
    batch that is large enough is divided among them.
    """

    def __init__(self, network: Network, dtype: np.dtype[Any]):
        real = from_dtype(dtype)
        self._network = network
        self._vector, self._strided = types.Array(real, 1, "C"), types.Array(real, 1, "A", readonly=True)
        self._matrix = types.Array(real, 2, "C")
        self._layout = blocks if blocks.is_narrow(network) else sample_blocks

    @cached_property
    def forward(self) -> Callable[..., Any]:
        """The outputs of one sample."""
        return entry_point(forward, self._vector, self._strided, self._vector)

    @cached_property
    def forward_batch(self) -> Callable[..., Any]:
        """The outputs of a batch."""
        type_, least = parallel.forward_type(self._vector, self._matrix), parallel.least_forward(self._network)
        return self._divided(self._layout.forward, parallel.forward_shared, type_, parallel.samples, least)

    @cached_property
    def total_loss(self) -> Callable[..., Any]:
        """The loss of a batch."""
        type_, least = parallel.total_loss_type(self._vector, self._matrix), parallel.least_forward(self._network)
        return self._divided(self._layout.total_loss, parallel.total_loss_shared, type_, parallel.samples, least)

    @cached_property
    def train(self) -> Callable[..., Any]:
        """Training in batches, and the gradient of one batch."""
        type_, least = parallel.train_type(self._vector, self._matrix), parallel.least_gradient(self._network)
        return self._divided(self._layout.train, parallel.train_shared, type_, parallel.samples_of_step, least)

    @cached_property
    def train_singly(self) -> Callable[..., Any]:
        """Training by single samples."""
        rate, losses = types.float64, types.Array(types.float64, 1, "C")
        return entry_point(train_singly, self._vector, self._matrix, self._matrix, rate, rate, losses)

    def _divided(
        self, function: Any, shared: Any, type_: Any, samples: Callable[..., int], least: int
    ) -> Callable[..., Any]:
        """The function of a type on one thread, or on several for ``least`` samples and more."""
        alone = entry_point(function, *type_.args)
        if parallel.threads() == 1:
            return alone
        together = entry_point(shared, *type_.args, types.int64, types.int64)
        return parallel.divided(alone, together, address_of(function, type_.args), samples, least, self._network)


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
        padded = [self._padded(W, b) for W, b in parameters]
        room = np.zeros(sum(network.layer_sizes) + BYTES // self.dtype.itemsize)
        packed = np.concatenate([header, *padded, room]).astype(self.dtype)
        self._packed = _aligned(packed, len(header))
        ends = list(accumulate((n + 1) * m for n, m in network.shapes))
        self._gradients = np.zeros(ends[-1], self.dtype)
        # For each layer: where its biases begin, its weights begin and end in a gradient, and its shape.
        self._places = [
            (end - (n + 1) * m, end - n * m, end, n, m) for end, (n, m) in zip(ends, network.shapes, strict=True)
        ]
        self._first = len(header)

        self._kernels = Kernels(network, self.dtype)
        self._forward_sample = MethodType(self._kernels.forward, self._packed)

    def _padded(self, W: Array, b: Array) -> Array:
        """Flatten b and W, with the rows and the layer padded with zeros."""
        (n, m), itemsize = W.shape, self.dtype.itemsize
        rows = np.pad(np.vstack([b, W]), [(0, 0), (0, padded_width(m, itemsize) - m)]).reshape(-1)
        return np.pad(rows, (0, padded_size(n, m, itemsize) - len(rows)))

    def _fetch(self) -> LayerArrays:
        pairs, p, itemsize = [], self._first, self.dtype.itemsize
        for n, m in self.network.shapes:
            width = padded_width(m, itemsize)
            rows = self._packed[p : p + (n + 1) * width].reshape(n + 1, width)
            pairs.append((rows[1:, :m], rows[0, :m]))
            p += padded_size(n, m, itemsize)
        return pairs

    def _forward_batch(self, X: Array) -> Array:
        out = np.empty((len(X), self.network.n_out), self.dtype)
        self._kernels.forward_batch(self._packed, X, out)
        return out

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._kernels.total_loss(self._packed, X, Y))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        gradients, losses = np.empty_like(self._gradients), np.empty(1)
        self._kernels.train(self._packed, X, Y, gradients, len(X), 0.0, 0.0, False, losses)
        return losses[0], [(gradients[w:end].reshape(n, m), gradients[b:w]) for b, w, end, n, m in self._places]

    def _train(self, X: Array, Y: Array, descent: Descent) -> Any:
        losses = np.empty(descent.epochs)
        rates = descent.learning_rate, descent.bias_learning_rate
        if descent.size == 1:
            self._kernels.train_singly(self._packed, X, Y, *rates, losses)
        else:
            self._kernels.train(self._packed, X, Y, self._gradients, descent.size, *rates, descent.mean, losses)
        return losses
