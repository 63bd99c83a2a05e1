"""Gradient descent on the packed parameters, and the copies of batches that both layouts of blocks read."""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._simd.options import jit_inner
from impls._simd.packed import first_layer, layer_size, size, width
from impls._simd.parts import part, row


@jit_inner
def transpose(X: Array, A: Array) -> None:
    """Write X (samples, n) into A (n, samples)."""
    for i in range(len(A)):
        a = row(A, i)
        for s in range(len(a)):
            a[s] = X[s, i]


@jit_inner
def transpose_in_blocks(X: Array, rows: int, size: int) -> Array:
    """Transpose X (samples, n) block by block, for batches of ``size`` samples in blocks of ``rows`` samples."""
    n = X.shape[1]
    transposed = np.empty(X.size, X.dtype)
    for start in range(0, len(X), size):
        stop = min(start + size, len(X))
        for first in range(start, stop, rows):
            last = min(first + rows, stop)
            transpose(part(X, first * n, (last - first, n)), part(transposed, first * n, (n, last - first)))
    return transposed


@jit_inner
def update(P: Array, G: Array, samples: int, learning_rate: float, bias_learning_rate: float, mean: bool) -> None:
    """Subtract the gradient G of so many samples, or its mean, multiplied by the rates, from the parameters."""
    if learning_rate > 0 or bias_learning_rate > 0:  # at rates of 0, an infinite gradient would give NaN
        share = 1 / samples if mean else 1.0
        descend(P, G, P.dtype.type(learning_rate * share), P.dtype.type(bias_learning_rate * share))


@jit_inner
def descend(P: Array, G: Array, rate: float, bias_rate: float) -> None:
    """Subtract the gradient, multiplied by the rates, from the parameters."""
    p, g = first_layer(P), 0
    for layer in range(int(P[0])):
        n, m = size(P, layer), size(P, layer + 1)
        wide = width(P, m)
        subtract_scaled(part(P, p, m), part(G, g, m), bias_rate)
        g += m
        rows, columns = (1, n * m) if wide == m else (n, m)
        for i in range(rows):
            subtract_scaled(part(P, p + (i + 1) * wide, columns), part(G, g + i * m, columns), rate)
        p += layer_size(P, n, m)
        g += n * m


@jit_inner
def subtract_scaled(a: Array, b: Array, rate: float) -> None:
    """Subtract rate * b from a."""
    for i in range(len(a)):
        a[i] -= rate * b[i]
