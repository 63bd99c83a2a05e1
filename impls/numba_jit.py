"""The network in optimized Numba, in one file with the structure of ``numpy_vectorized``.

P holds [W; b] of each layer in turn. Layer l begins at row first[l] of ``values`` (rows, samples), and its last row is
all ones, for the biases. Each optimization and its speedup, in float64 on one thread of a processor with AVX-512:

- BLAS for the matrix products instead of loops: 2.4 for a forward pass of 64 samples of 100-100-50-10.
- Vectorized ``_exp.exp`` instead of ``math.exp``: 1.8 for the same pass; divisions without a zero check: 1.9.
- One column per sample, for long inner loops in BLAS: 2.1 for the products of an epoch of 1000 samples of 2-4-3-1.
- All updates of a training in one call: 2.7 for single samples of 2-3-1. No dispatcher: 1.2 for a sample of 3-3-1.
"""

from functools import cached_property, partial
from typing import Any

import numpy as np
from numba import boolean, float64, from_dtype, int64, njit
from numpy import dot, empty, empty_like, log1p

from impls import _backend, _codes
from impls._backend import Array, Descent, Gradient
from impls._exp import exp, tanh
from impls._network import Parameters
from impls._numba import entry_point, require_compiler

require_compiler()
# error_model: x / 0 is infinity, because a check of every division would prevent vectorization. fastmath stays off: NaN
# must propagate, exp relies on the order of its additions, and BLAS computes the long sums anyway.
jit = njit(error_model="numpy")
HIDDEN, OUTPUT, LOSS = range(3)  # indices into ``codes``


@jit
def activate(activation: int, Z: Array) -> None:
    """Replace Z (n, samples) by its activation."""
    z, one, zero = Z.reshape(-1), Z.dtype.type(1), Z.dtype.type(0)  # Python numbers would turn float32 into float64
    for i in range(len(z)):
        if activation == _codes.SIGMOID:
            e = exp(-abs(z[i]))  # the exponent is 0 or less, so exp cannot overflow
            z[i] = (e if z[i] < zero else one) / (one + e)
        elif activation == _codes.TANH:
            z[i] = tanh(z[i])
        elif activation == _codes.RELU:
            z[i] = zero if z[i] < zero else z[i]
    if activation == _codes.SOFTMAX:
        for s in range(Z.shape[1]):
            top, total = Z[0, s], zero
            for j in range(len(Z)):
                top = Z[j, s] if Z[j, s] > top else top
            for j in range(len(Z)):
                Z[j, s] = exp(Z[j, s] - top)
                total += Z[j, s]
            for j in range(len(Z)):
                Z[j, s] /= total


@jit
def multiply_derivative(activation: int, A: Array, D: Array) -> None:
    """Multiply D (n, samples) by the derivative of the activation, computed from the activation's value A."""
    a, d, one, zero = A.reshape(-1), D.reshape(-1), A.dtype.type(1), A.dtype.type(0)
    for i in range(len(a)):
        if activation == _codes.SIGMOID:
            d[i] *= a[i] * (one - a[i])
        elif activation == _codes.TANH:
            d[i] *= one - a[i] * a[i]
        elif activation == _codes.RELU:
            d[i] = d[i] if a[i] > zero else zero


@jit
def cross_entropy(loss: int, Z: Array, Y: Array) -> float:
    """Return the summed cross-entropy of a batch with logits Z (n, samples) and targets Y (samples, n)."""
    total, one = 0.0, Z.dtype.type(1)
    for s in range(len(Y)):
        if loss == _codes.BINARY_CROSS_ENTROPY:
            for j in range(len(Z)):
                z, y = Z[j, s], Y[s, j]
                total += (z * (one - y) if z > 0 else -z * y) + log1p(exp(-abs(z)))
        else:
            top, others = 0, 0.0
            for j in range(1, len(Z)):
                top = j if Z[j, s] > Z[top, s] else top
            for j in range(len(Z)):
                others += exp(Z[j, s] - Z[top, s]) if j != top else 0.0
            for j in range(len(Z)):
                total += Y[s, j] * (log1p(others) - (Z[j, s] - Z[top, s]))
    return total


@jit
def transpose(X: Array, A: Array) -> None:
    """Write X (samples, n) into A (n, samples)."""
    for j in range(len(A)):
        for s in range(len(X)):
            A[j, s] = X[s, j]


@jit
def logits(P: Array, first: Array, codes: Array, values: Array) -> Array:
    """Compute all layers in values (rows, samples) from the input layer; return the logits, (n_out, samples)."""
    p = 0
    for layer in range(1, len(first) - 1):
        A, Z = values[first[layer - 1] : first[layer]], values[first[layer] : first[layer + 1] - 1]
        A[-1] = 1
        W = P[p : p + len(A) * len(Z)].reshape(len(A), len(Z))
        dot(W.T, A, Z)
        if layer < len(first) - 2:
            activate(codes[HIDDEN], Z)
        p += W.size
    return values[first[-2] : -1]


@jit
def forward(P: Array, first: Array, codes: Array, x: Array, out: Array) -> None:
    """Write the outputs of one sample, (n_in,) -> (n_out,), or of a batch, (samples, n_in) -> (samples, n_out)."""
    X, outputs = np.atleast_2d(x), np.atleast_2d(out)
    values = empty((first[-1], len(X)), P.dtype)
    transpose(X, values[: X.shape[1]])
    Z = logits(P, first, codes, values)
    activate(codes[OUTPUT], Z)
    transpose(Z, outputs)


@jit
def backpropagate(P: Array, first: Array, codes: Array, X: Array, Y: Array, G: Array, work: Array, same: bool) -> float:
    """Return the summed loss of a batch; unless G is empty, write the summed gradient into G, laid out like P."""
    values, deltas = work.reshape(2, first[-1], len(X))[0], work.reshape(2, first[-1], len(X))[1]
    if not same:  # X differs from that of the previous call, which work still contains
        transpose(X, values[: X.shape[1]])
    Z, D, p = logits(P, first, codes, values), deltas[first[-2] : -1], len(P)
    squared = codes[LOSS] < _codes.BINARY_CROSS_ENTROPY
    total = 0.0 if squared else cross_entropy(codes[LOSS], Z, Y)
    activate(codes[OUTPUT], Z)
    np.subtract(Z, Y.T, D)
    if squared:
        scale = 1.0 if codes[LOSS] == _codes.HALF_SQUARED_ERROR else 2 / len(D)
        total = scale / 2 * dot(D.reshape(-1), D.reshape(-1))
        multiply_derivative(codes[OUTPUT], Z, D)
        D *= D.dtype.type(scale)
    for layer in range(len(first) - 3 if len(G) > 0 else -1, -1, -1):
        A, E = values[first[layer] : first[layer + 1]], deltas[first[layer] : first[layer + 1] - 1]
        q, p = p, p - len(A) * len(D)
        W, dW = P[p:q].reshape(len(A), len(D)), G[p:q].reshape(len(A), len(D))
        dot(A, D.T, dW)
        if layer > 0:
            dot(W[:-1], D, E)
            multiply_derivative(codes[HIDDEN], A[:-1], E)
        D = E
    return total


@jit
def descend(
    P: Array, first: Array, codes: Array, X: Array, Y: Array, size: int, rates: Array, mean: bool, losses: Array
) -> None:
    """Train by gradient descent in batches of ``size``; add the summed loss of each epoch to losses (epochs,)."""
    G, work = empty_like(P), empty(2 * first[-1] * size, P.dtype)
    for epoch in range(len(losses)):
        for start in range(0, len(X), size):
            x, y = X[start : start + size], Y[start : start + size]
            same, space = epoch > 0 and size == len(X), work[: 2 * first[-1] * len(x)]
            losses[epoch] += backpropagate(P, first, codes, x, y, G, space, same)
            scale, p = 1 / len(x) if mean else 1.0, 0
            for layer in range(len(first) - 2):
                m = first[layer + 2] - first[layer + 1] - 1
                for length, rate in (((first[layer + 1] - first[layer] - 1) * m, rates[0]), (m, rates[1])):
                    W, dW, step = P[p : p + length], G[p : p + length], P.dtype.type(rate * scale)
                    for i in range(length):
                        W[i] -= step * dW[i]
                    p += length


class Model(_backend.Model):
    """Optimized Numba in one file: BLAS for products, vectorized loops, one call for each operation."""

    dtypes = ("float64", "float32")
    compiles = True

    def _store(self, parameters: Parameters) -> None:
        network, real = self.network, from_dtype(self.dtype)
        self._weights = np.concatenate([part.ravel() for pair in parameters for part in pair]).astype(self.dtype)
        self._first = np.cumsum([0, *(size + 1 for size in network.layer_sizes)])
        hidden, output = _codes.ACTIVATIONS[network.hidden], _codes.ACTIVATIONS[network.output]
        self._leading = self._weights, self._first, np.array([hidden, output, _codes.LOSSES[network.loss]])
        self._types = real[::1], int64[::1], int64[::1], real[:, ::1], real[:, ::1]
        self._forward_sample = partial(entry_point(forward, *self._types[:3], real[:], real[::1]), *self._leading)

    _batch = cached_property(lambda m: entry_point(forward, *m._types))  # compiled when first used, like the next two
    _backpropagate = cached_property(lambda m: entry_point(backpropagate, *m._types, *m._types[:1] * 2, boolean))
    _descend = cached_property(lambda m: entry_point(descend, *m._types, int64, float64[::1], boolean, float64[::1]))

    def _unpacked(self, flat: Array) -> Gradient:
        pairs, p = [], 0
        for n, m in self.network.shapes:
            W, p = flat[p : p + (n + 1) * m].reshape(n + 1, m), p + (n + 1) * m
            pairs.append((W[:-1], W[-1]))
        return pairs

    def _fetch(self) -> Gradient:
        return self._unpacked(self._weights)

    def _forward_batch(self, X: Array) -> Array:
        out = empty((len(X), self.network.n_out), self.dtype)
        self._batch(*self._leading, X, out)
        return out

    def _loss(self, X: Array, Y: Array) -> float:
        return self._gradient_into(empty(0, self.dtype), X, Y)

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        G = empty_like(self._weights)
        return self._gradient_into(G, X, Y), self._unpacked(G)

    def _gradient_into(self, G: Array, X: Array, Y: Array) -> float:
        work = empty(2 * self._first[-1] * len(X), self.dtype)
        return float(self._backpropagate(*self._leading, X, Y, G, work, False))

    def _train(self, X: Array, Y: Array, descent: Descent) -> Any:
        losses, rates = np.zeros(descent.epochs), np.array([descent.learning_rate, descent.bias_learning_rate])
        self._descend(*self._leading, X, Y, descent.size, rates, descent.mean, losses)
        return losses
