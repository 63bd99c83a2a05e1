"""Forward pass and training for one sample at a time; the innermost loops run over the nodes of a layer."""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import (
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    IDENTITY,
    MEAN_SQUARED_ERROR,
    SIGMOID,
    TANH,
)
from impls._simd.affine import BYTES, affine_in_registers
from impls._simd.blocks import binary_cross_entropy, categorical_cross_entropy, dot
from impls._simd.functions import activate_one, derivative, exp, tanh
from impls._simd.options import jit, jit_inlined, jit_inner
from impls._simd.packed import HIDDEN, LOSS, OUTPUT, first_layer, layer_size, nodes, size, width
from impls._simd.parts import part

CACHED = 2**20
"""Bytes of weights up to which a layer stays in the L2 cache, where their order in memory does not matter."""


@jit_inner
def affine_by_rows(P: Array, p: int, a: Array, z: Array) -> None:
    """Write a W + b into z, reading W in the order in which memory is read fastest; b and then W begin at P[p].

    Eight rows at a time: fewer would read and write z more often.
    """
    n, m, wide = len(a), len(z), width(P, len(z))
    b, W = part(P, p, m), part(P, p + wide, (n, wide))
    for j in range(m):
        z[j] = b[j]
    whole = n // 8 * 8
    for i in range(0, whole, 8):
        a0, a1, a2, a3, a4, a5, a6, a7 = a[i], a[i + 1], a[i + 2], a[i + 3], a[i + 4], a[i + 5], a[i + 6], a[i + 7]
        for j in range(m):
            first = a0 * W[i, j] + a1 * W[i + 1, j] + a2 * W[i + 2, j] + a3 * W[i + 3, j]
            second = a4 * W[i + 4, j] + a5 * W[i + 5, j] + a6 * W[i + 6, j] + a7 * W[i + 7, j]
            z[j] += first + second
    for i in range(whole, n):
        for j in range(m):
            z[j] += a[i] * W[i, j]


@jit_inlined
def affine(P: Array, p: int, a: Array, z: Array) -> None:
    """Write a W + b into z, for the layer whose parameters begin at P[p]."""
    m = len(z)
    if len(a) * m * P.itemsize > CACHED:
        affine_by_rows(P, p, a, z)
        return
    if m * P.itemsize >= BYTES:
        affine_in_registers(P, p, a, z, width(P, m))
        return
    b = part(P, p, m)
    for j in range(m):
        z[j] = b[j]
    for i in range(len(a)):
        p += m
        row, x = part(P, p, m), a[i]
        for j in range(m):
            z[j] += x * row[j]


@jit_inlined
def activate_short(activation: int, z: Array) -> None:
    """Replace z by its activation, like ``activate_one``; code for a short z is inlined."""
    if len(z) * z.itemsize >= BYTES:
        activate_one(activation, z)
        return
    one = z.dtype.type(1)
    if activation == SIGMOID:
        for j in range(len(z)):
            z[j] = one / (one + exp(-z[j]))
    elif activation == TANH:
        for j in range(len(z)):
            z[j] = tanh(z[j])
    elif activation != IDENTITY:
        activate_one(activation, z)


@jit_inlined
def compute_layer(P: Array, p: int, values: Array, w: int, n: int, m: int, activation: int) -> None:
    """Compute a layer from values[w : w + n] into values[w + n : w + n + m]; the parameters begin at P[p]."""
    z = part(values, w + n, m)
    affine(P, p, part(values, w, n), z)
    activate_short(activation, z)


@jit
def forward(P: Array, x: Array, out: Array) -> None:
    """Write the outputs of one sample, x (n_in,), into out (n_out,)."""
    layers, hidden, output, p = int(P[0]), int(P[HIDDEN]), int(P[OUTPUT]), first_layer(P)
    n, w = len(x), len(P) - len(x) - nodes(P) - BYTES // P.itemsize
    for i in range(n):
        P[w + i] = x[i]
    for layer in range(layers):
        m = size(P, layer + 1)
        compute_layer(P, p, P, w, n, m, output if layer == layers - 1 else hidden)
        p += layer_size(P, n, m)
        w += n
        n = m
    for j in range(n):
        out[j] = P[w + j]


@jit_inlined
def loss_and_delta(P: Array, z: Array, y: Array, d: Array) -> float:
    """Return the loss of one sample; replace its logits z by the outputs, and write dloss/dz into d."""
    output, loss, m = int(P[OUTPUT]), int(P[LOSS]), len(z)
    one = z.dtype.type(1)
    total = 0.0
    if loss == BINARY_CROSS_ENTROPY:
        for j in range(m):
            total += binary_cross_entropy(z[j], y[j])
    elif loss == CATEGORICAL_CROSS_ENTROPY:
        total = categorical_cross_entropy(part(z, 0, (m, 1)), part(y, 0, (m, 1)), 0)
    activate_short(output, z)
    factor = z.dtype.type(2 / m) if loss == MEAN_SQUARED_ERROR else one
    for j in range(m):
        error = z[j] - y[j]
        d[j] = error
        if loss < BINARY_CROSS_ENTROPY:
            total += error * error
            d[j] *= factor * derivative(output, z[j])
    if loss == HALF_SQUARED_ERROR:
        total *= 0.5
    elif loss == MEAN_SQUARED_ERROR:
        total /= m
    return total


@jit_inlined
def update_layer(
    P: Array,
    p: int,
    hidden: int,
    a: Array,
    d: Array,
    e: Array,
    with_input_gradient: bool,
    rate: float,
    bias_rate: float,
) -> None:
    """Update the layer whose parameters begin at P[p], for input a and derivatives d with respect to the logits.

    If ``with_input_gradient`` is true, also write the derivatives with respect to the logits of the layer below into e.
    """
    m = len(d)
    b = part(P, p, m)
    for j in range(m):
        b[j] -= bias_rate * d[j]
    if m * P.itemsize >= BYTES:
        wide = width(P, m)
        for i in range(len(a)):
            p += wide
            row, step = part(P, p, m), rate * a[i]
            if with_input_gradient:
                e[i] = dot(row, d) * derivative(hidden, a[i])
            for j in range(m):
                row[j] -= step * d[j]
        return
    for i in range(len(a)):
        p += m
        row, step, total = part(P, p, m), rate * a[i], P.dtype.type(0)
        for j in range(m):
            total += row[j] * d[j]
            row[j] -= step * d[j]
        if with_input_gradient:
            e[i] = total * derivative(hidden, a[i])


@jit
def train_singly(P: Array, X: Array, Y: Array, learning_rate: float, bias_learning_rate: float, losses: Array) -> None:
    """Train by gradient descent with an update after each sample; write the summed loss of each epoch into losses."""
    layers, hidden = int(P[0]), int(P[HIDDEN])
    rate, bias_rate = P.dtype.type(learning_rate), P.dtype.type(bias_learning_rate)
    sizes = np.empty(layers + 1, np.int64)
    for layer in range(layers + 1):
        sizes[layer] = size(P, layer)
    first, n_in, n_out = first_layer(P), sizes[0], sizes[layers]
    length = n_in + nodes(P) + BYTES // P.itemsize
    values, deltas = np.empty(length, P.dtype), np.empty(length, P.dtype)
    for epoch in range(len(losses)):
        total = 0.0
        for s in range(len(X)):
            x, inputs = part(X, s * n_in, n_in), part(values, 0, n_in)
            for i in range(n_in):
                inputs[i] = x[i]
            p, w = first, 0
            for layer in range(layers):
                n, m = sizes[layer], sizes[layer + 1]
                compute_layer(P, p, values, w, n, m, hidden if layer < layers - 1 else IDENTITY)
                p += layer_size(P, n, m)
                w += n
            total += loss_and_delta(P, part(values, w, n_out), part(Y, s * n_out, n_out), part(deltas, w, n_out))
            for layer in range(layers - 1, -1, -1):
                n, m = sizes[layer], sizes[layer + 1]
                p -= layer_size(P, n, m)
                update_layer(
                    P,
                    p,
                    hidden,
                    part(values, w - n, n),
                    part(deltas, w, m),
                    part(deltas, w - n, n),
                    layer > 0,
                    rate,
                    bias_rate,
                )
                w -= n
        losses[epoch] = total
