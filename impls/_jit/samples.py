"""One sample at a time: the innermost loop runs over the nodes of a layer, each of which has a sum of its own."""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import (
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    MEAN_SQUARED_ERROR,
)
from impls._jit.blocks import categorical_cross_entropy, dot
from impls._jit.functions import activate_one, derivative, exp, log1p
from impls._jit.options import jit, jit_inline
from impls._jit.packed import HIDDEN, LOSS, OUTPUT, first_layer, nodes, size


@jit_inline
def affine(P: Array, p: int, a: Array, z: Array) -> None:
    """Write a W + b into z, for the layer that begins at P[p]."""
    m = len(z)
    for j in range(m):
        z[j] = P[p + j]
    p += m
    i = 0
    while i + 4 <= len(a):
        row0, row1, row2, row3 = P[p : p + m], P[p + m : p + 2 * m], P[p + 2 * m : p + 3 * m], P[p + 3 * m : p + 4 * m]
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(m):
            z[j] += a0 * row0[j] + a1 * row1[j] + a2 * row2[j] + a3 * row3[j]
        i += 4
        p += 4 * m
    while i < len(a):
        row0, a0 = P[p : p + m], a[i]
        for j in range(m):
            z[j] += a0 * row0[j]
        i += 1
        p += m


@jit
def forward(P: Array, x: Array, out: Array) -> None:
    """Write the outputs of one sample, x (n_in,), into out (n_out,)."""
    layers, hidden, output = int(P[0]), int(P[HIDDEN]), int(P[OUTPUT])
    p = first_layer(P)
    if layers == 1:
        affine(P, p, x, out)
        activate_one(output, out)
        return
    n, m = size(P, 0), size(P, 1)
    w = len(P) - m
    a = P[w:]
    affine(P, p, x, a)
    activate_one(hidden, a)
    p += (n + 1) * m
    for layer in range(1, layers - 1):
        n, m = m, size(P, layer + 1)
        w -= m
        z = P[w : w + m]
        affine(P, p, a, z)
        activate_one(hidden, z)
        p += (n + 1) * m
        a = z
    affine(P, p, a, out)
    activate_one(output, out)


@jit
def error_of_one(P: Array, z: Array, y: Array, d: Array) -> float:
    """Return a sample's loss; turn its logits z into outputs, and write its derivative by the logits into d."""
    output, loss, m = int(P[OUTPUT]), int(P[LOSS]), len(z)
    one = z.dtype.type(1)
    total = 0.0
    if loss == BINARY_CROSS_ENTROPY:
        for j in range(m):
            linear = z[j] * (one - y[j]) if z[j] > 0 else -z[j] * y[j]
            total += linear + log1p(exp(-abs(z[j])))
    elif loss == CATEGORICAL_CROSS_ENTROPY:
        total = categorical_cross_entropy(z.reshape(m, 1), y.reshape(m, 1), 0)
    activate_one(output, z)
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


@jit
def train_singly(P: Array, X: Array, Y: Array, learning_rate: float, bias_learning_rate: float, losses: Array) -> None:
    """Gradient descent with an update for each sample; write the summed loss of each epoch into losses."""
    layers, hidden = int(P[0]), int(P[HIDDEN])
    rate, bias_rate = P.dtype.type(learning_rate), P.dtype.type(bias_learning_rate)
    total_nodes = nodes(P)
    work = np.empty(2 * total_nodes, P.dtype)
    last_width = size(P, layers)
    for epoch in range(len(losses)):
        total = 0.0
        for s in range(len(X)):
            p, w, a = first_layer(P), 0, X[s]
            for layer in range(layers):
                n, m = len(a), size(P, layer + 1)
                z = work[w : w + m]
                affine(P, p, a, z)
                if layer < layers - 1:
                    activate_one(hidden, z)
                p += (n + 1) * m
                w += m
                a = z
            d = work[total_nodes : total_nodes + last_width]
            total += error_of_one(P, a, Y[s], d)
            free = total_nodes + last_width
            w -= last_width
            for layer in range(layers - 1, -1, -1):
                n, m = size(P, layer), len(d)
                p -= (n + 1) * m
                if layer > 0:
                    w -= n
                    a = work[w : w + n]
                else:
                    a = X[s]
                e = work[free : free + n] if layer > 0 else d
                for i in range(n):
                    row = P[p + m + i * m : p + m + i * m + m]
                    if layer > 0:
                        e[i] = dot(row, d) * derivative(hidden, a[i])
                    step = rate * a[i]
                    for j in range(m):
                        row[j] -= step * d[j]
                b = P[p : p + m]
                for j in range(m):
                    b[j] -= bias_rate * d[j]
                free += n
                d = e
        losses[epoch] = total
