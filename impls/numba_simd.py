"""The network in Numba with care: what the decorator alone leaves on the table, and what is done about it.

The kernels are in ``impls/_simd``. What mattered, with what it gained on a processor with AVX-512, float64, one thread:

- ``packed.py``: an argument costs 0.03 µs to unpack, so a model is one array, and what a network is, is data in it: a
  new network compiles nothing. Called past the dispatcher: 0.1 µs less. Every row of weights begins a vector in memory:
  one sample takes 6.3 µs instead of 9.2 for 784-128-10, 1.64 instead of 1.92 for 100-100-50-10.
- ``affine.py``: one sample's sums stay in registers, which Numba cannot be told; a layer of 100 × 100 takes 0.69 µs
  instead of 1.2.
- ``functions.py``: exponentials by polynomials, eight at a time: 0.7 ns for a sigmoid, where ``math.exp`` takes 4.7.
- ``blocks.py``: a batch goes through all layers in blocks that stay in the cache, samples side by side, so that layers
  of two nodes fill vectors, too: an epoch of 1000 samples of 2-4-3-1 takes 11 µs instead of 134. Wide products are
  left to BLAS, in the orientation that it is quick in: 3.0 µs instead of 6.5 for a block's gradient of 64 × 30.
- ``tiles.py``: in a forward pass, though, their sums stay in registers, and nothing is copied as in BLAS: 1024 samples
  take 3.1 ms instead of 4.2 for 784-128-10, 0.53 instead of 0.59 for 100-100-50-10, 95 µs instead of 110 for 64-30-10.
- ``samples.py``: updates by single samples, forward, backward and update without a call or an array in between; an
  epoch of four updates of 2-3-1 takes 0.4 µs instead of 4.2.
- ``parts.py``: parts of arrays whose users are not counted. A slice is counted with atomic instructions, and they took
  a third of that epoch of 2-3-1, a fifth of one of 2-4-3-1, a sixth of one of 64-30-10, and 4 s of compiling.
- ``options.py``: only what Python calls gets a wrapper for it, and what is called from one place is put there before it
  is compiled. All kernels are compiled in 11 s; without the one, 1 s more, without the other as well, 2 s.
- ``parallel.py``: with two threads, a batch in two shares: 1024 samples of 100-100-50-10 take 0.34 ms instead of 0.61.

The threads are as many as NUMBA_NUM_THREADS says, which is one where it is not set.
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
from impls._numba import compile_cached
from impls._simd import parallel
from impls._simd.affine import BYTES
from impls._simd.blocks import forward_batch, total_loss, train
from impls._simd.samples import forward, train_singly

MOST_EXACT = {"float64": 2**53, "float32": 2**24}
"""Integers up to which the header, of the model's dtype, holds every one."""


class Kernels(NamedTuple):
    """The compiled functions, past their dispatchers, which would check the types of the arguments once more."""

    forward: Callable[..., Any]
    forward_batch: Callable[..., Any]
    total_loss: Callable[..., Any]
    train: Callable[..., Any]
    train_singly: Callable[..., Any]


def _entry(function: Any, *signature: Any) -> Callable[..., Any]:
    entry: Callable[..., Any] = compile_cached(function, signature).entry_point
    return entry


def _aligned(values: Array, place: int) -> Array:
    """A copy of values (n,) in which values[place] begins a vector in memory."""
    lanes = BYTES // values.itemsize
    room = np.empty(len(values) + lanes, values.dtype)
    start = -(room.ctypes.data // values.itemsize + place) % lanes
    copy = room[start : start + len(values)]
    copy[:] = values
    return copy


class Model(_backend.Model):
    """Numba with care: one packed array, vectorized loops, BLAS for large batches."""

    dtypes = ("float64", "float32")
    compiles = True

    def _store(self, parameters: Parameters) -> None:
        network = self.network
        if max(network.layer_sizes) > MOST_EXACT[self.dtype.name]:
            raise ValueError(
                f"numba_simd has no layers of more than {MOST_EXACT[self.dtype.name]} nodes in {self.dtype}"
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
            self._kernels = self._divided(self._kernels, vector, matrix, scalars, losses)
        self._forward_sample = MethodType(self._kernels.forward, self._packed)

    def _divided(self, alone: Kernels, vector: Any, matrix: Any, scalars: Any, losses: Any) -> Kernels:
        """The kernels of batches, which divide large ones among threads."""
        divided, shares = partial(parallel.divided, network=self.network), types.int64
        least_forward, least_gradient = parallel.least_forward(self.network), parallel.least_gradient(self.network)
        of_forward = _entry(parallel.forward_batch_shared, vector, matrix, matrix, shares)
        of_loss = _entry(parallel.total_loss_shared, vector, matrix, matrix, shares)
        of_train = _entry(parallel.train_shared, vector, matrix, matrix, vector, *scalars, losses, shares)
        return alone._replace(
            forward_batch=divided(alone.forward_batch, of_forward, parallel.samples, least_forward),
            total_loss=divided(alone.total_loss, of_loss, parallel.samples, least_forward),
            train=divided(alone.train, of_train, parallel.samples_of_step, least_gradient),
        )

    def _width(self, m: int) -> int:
        """Places that a row of m weights or biases takes in the packed array."""
        lanes = BYTES // self.dtype.itemsize
        return m if m < lanes else -(-m // lanes) * lanes

    def _padded(self, rows: Array) -> Array:
        """The rows of weights or biases one after another, each filled up with zeros."""
        m = rows.shape[-1]
        return np.pad(rows.reshape(-1, m), [(0, 0), (0, self._width(m) - m)]).reshape(-1)

    def _unpacked(self, flat: Array, width: Callable[[int], int]) -> Gradient:
        pairs, p = [], 0
        for n, m in self.network.shapes:
            rows = flat[p : p + (n + 1) * width(m)].reshape(n + 1, width(m))
            pairs.append((rows[1:, :m], rows[0, :m]))
            p += rows.size
        return pairs

    def _fetch(self) -> LayerArrays:
        return self._unpacked(self._packed[self._first :], self._width)

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
