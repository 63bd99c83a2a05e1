"""Batches of narrow layers, in blocks that stay in the L1 and L2 caches from the first layer to the gradient.

A block is an array (nodes, samples). Every innermost loop runs over the samples of a block, so it is long enough to be
vectorized however narrow the layers are. ``sample_blocks.py`` has the other layout, for wider layers.
"""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import (
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    MEAN_SQUARED_ERROR,
)
from impls._network import Network
from impls._simd.affine import BYTES
from impls._simd.descent import transpose, transpose_in_blocks, update
from impls._simd.functions import activate, exp, log1p, multiply_derivative
from impls._simd.options import jit, jit_inlined, jit_inner, jit_reordered, wide_vectors
from impls._simd.packed import HIDDEN, LOSS, OUTPUT, first_layer, layer_size, nodes, size, width
from impls._simd.parts import part, row

WEIGHTS, INPUTS = 256, 24
"""Largest number of weights of a layer, and of inputs of a network, in this layout of blocks. Transposing more inputs
takes longer than the loops over samples save."""

CACHED = 4096
"""Number of elements of a block, over all its layers, that stay in the cache."""


def is_narrow(network: Network) -> bool:
    """Return whether this layout is faster than that of ``sample_blocks.py`` for a network."""
    return network.n_in <= INPUTS and max(n * m for n, m in network.shapes) <= WEIGHTS


@jit_inner
def block_rows(P: Array) -> int:
    """Return the samples per block: up to 512, and fewer for wider networks, down to 64."""
    return min(512, max(64, CACHED // nodes(P) // 64 * 64))


@jit_inner
def scale(a: Array, factor: float) -> None:
    """Multiply a (n,) by the factor."""
    for i in range(len(a)):
        a[i] *= factor


@jit_inner
def affine(W: Array, b: Array, A: Array, Z: Array) -> None:
    """Write Wᵀ A + b into Z (m, samples), for W (n, m or more) and A (n, samples)."""
    n, samples, m = len(A), A.shape[1], len(Z)
    for j in range(m):
        z, start, i = row(Z, j), b[j], 0
        for s in range(samples):
            z[s] = start
        while i + 4 <= n:
            a0, a1, a2, a3 = row(A, i), row(A, i + 1), row(A, i + 2), row(A, i + 3)
            w0, w1, w2, w3 = W[i, j], W[i + 1, j], W[i + 2, j], W[i + 3, j]
            for s in range(samples):
                z[s] += w0 * a0[s] + w1 * a1[s] + w2 * a2[s] + w3 * a3[s]
            i += 4
        while i < n:
            a0, w0 = row(A, i), W[i, j]
            for s in range(samples):
                z[s] += w0 * a0[s]
            i += 1


@jit_reordered
def dot(a: Array, b: Array) -> float:
    """Return the dot product of a and b."""
    total = a.dtype.type(0)
    for s in range(len(a)):
        total += a[s] * b[s]
    return total


@jit_reordered
def total_of(a: Array) -> float:
    """Return the sum of a."""
    total = a.dtype.type(0)
    for s in range(len(a)):
        total += a[s]
    return total


@jit_inner
def outer(A: Array, D: Array, dW: Array, kept: int) -> None:
    """Write A Dᵀ into dW, or add it if ``kept`` is 1, for A (n, samples) and D (m, samples).

    dW is the flattened rows of an (n, m) matrix.
    """
    n, m = len(A), len(D)
    for i in range(n):
        for j in range(m):
            total = dot(row(A, i), row(D, j))
            dW[i * m + j] = dW[i * m + j] + total if kept else total


@jit_inner
def bias_gradient(D: Array, db: Array, kept: int) -> None:
    """Write the sums of the rows of D into db, or add them if ``kept`` is 1."""
    for j in range(len(D)):
        total = total_of(row(D, j))
        db[j] = db[j] + total if kept else total


@jit_inner
def propagate_back(W: Array, D: Array, A: Array) -> None:
    """Write W D into A (n, samples), for W (n, m or more) and D (m, samples)."""
    n, samples, m = len(A), A.shape[1], len(D)
    for i in range(n):
        a, d, w = row(A, i), row(D, 0), W[i, 0]
        for s in range(samples):
            a[s] = w * d[s]
        for j in range(1, m):
            d, w = row(D, j), W[i, j]
            for s in range(samples):
                a[s] += w * d[s]


@jit_inner
def propagate(P: Array, A: Array, work: Array) -> int:
    """Write the activations of the hidden layers and the logits into work; return the index after the logits.

    A (n_in, samples) holds the inputs.
    """
    layers, samples, p, w = int(P[0]), A.shape[1], first_layer(P), 0
    for layer in range(layers):
        n, m = len(A), size(P, layer + 1)
        Z, wide = part(work, w, (m, samples)), width(P, m)
        affine(part(P, p + wide, (n, wide)), part(P, p, m), A, Z)
        if layer < layers - 1:
            activate(int(P[HIDDEN]), Z)
        p += layer_size(P, n, m)
        w += m * samples
        A = Z
    return w


@jit_inner
def binary_cross_entropy(z: float, y: float) -> float:
    """Return the cross-entropy of one output with logit z and target y."""
    one = type(z)(1)
    return (z * (one - y) if z > 0 else -z * y) + log1p(exp(-abs(z)))


@jit_inner
def binary_cross_entropies(z: Array, y: Array, losses: Array) -> None:
    """Write the cross-entropies of logits z and targets y into losses, all (n,)."""
    wide_vectors()
    for s in range(len(z)):
        losses[s] = binary_cross_entropy(z[s], y[s])


@jit_inner
def categorical_cross_entropy(Z: Array, Y: Array, s: int) -> float:
    """Return the cross-entropy of sample s of a block with logits Z and targets Y, both (n, samples)."""
    top = 0
    for j in range(1, len(Z)):
        top = j if Z[j, s] > Z[top, s] else top
    others = Z.dtype.type(0)
    for j in range(len(Z)):
        if j != top:
            others += exp(Z[j, s] - Z[top, s])
    total = 0.0
    for j in range(len(Z)):
        total += Y[j, s] * (np.log1p(others) - (Z[j, s] - Z[top, s]))
    return total


@jit_inner
def loss_and_error(P: Array, Z: Array, Y: Array, D: Array) -> float:
    """Return a block's summed loss; replace its logits Z by the outputs, and write outputs minus targets into D."""
    output, loss = int(P[OUTPUT]), int(P[LOSS])
    z, y, d = part(Z, 0, Z.size), part(Y, 0, Y.size), part(D, 0, D.size)
    total = 0.0
    if loss == BINARY_CROSS_ENTROPY:
        binary_cross_entropies(z, y, d)
        total = float(total_of(d))
    elif loss == CATEGORICAL_CROSS_ENTROPY:
        for s in range(Z.shape[1]):
            total += categorical_cross_entropy(Z, Y, s)
    activate(output, Z)
    for s in range(len(d)):
        d[s] = z[s] - y[s]
    if loss == HALF_SQUARED_ERROR:
        total = 0.5 * dot(d, d)
    elif loss == MEAN_SQUARED_ERROR:
        total = dot(d, d) / len(D)
    return total


@jit_inlined
def loss_and_delta(P: Array, Z: Array, Y: Array, D: Array) -> float:
    """Return a block's summed loss; write the derivatives with respect to its logits Z into D, and its outputs into Z.

    All arrays are (n, samples).
    """
    total = loss_and_error(P, Z, Y, D)
    if int(P[LOSS]) < BINARY_CROSS_ENTROPY:
        multiply_derivative(int(P[OUTPUT]), Z, D)
        if int(P[LOSS]) == MEAN_SQUARED_ERROR:
            scale(part(D, 0, D.size), P.dtype.type(2 / len(D)))
    return total


@jit_inlined
def backpropagate(P: Array, A: Array, Y: Array, G: Array, work: Array, kept: int) -> float:
    """Write a block's summed gradient into G, or add it if ``kept`` is 1; return the block's summed loss.

    A (n_in, samples) holds the inputs. G is laid out like the parameters but without padding.
    """
    layers, (n_in, samples) = int(P[0]), A.shape
    w = propagate(P, A, work)
    w -= Y.size
    Z = part(work, w, Y.shape)
    free = w + Y.size
    D = part(work, free, Y.shape)
    free += Y.size
    total = loss_and_delta(P, Z, Y, D)
    p, g = len(P) - n_in - nodes(P) - BYTES // P.itemsize, len(G)
    for layer in range(layers - 1, -1, -1):
        n, m = size(P, layer), len(D)
        wide = width(P, m)
        p -= layer_size(P, n, m)
        g -= (n + 1) * m
        w -= n * samples
        inputs = part(work, w, (n, samples)) if layer > 0 else A
        outer(inputs, D, part(G, g + m, n * m), kept)
        bias_gradient(D, part(G, g, m), kept)
        if layer > 0:
            E = part(work, free, (n, samples))
            propagate_back(part(P, p + wide, (n, wide)), D, E)
            multiply_derivative(int(P[HIDDEN]), inputs, E)
            free += n * samples
            D = E
    return total


@jit_inner
def workspace(P: Array, rows: int) -> Array:
    """Allocate the workspace for a block: the values of its layers, their derivatives, and a vector that tiles read."""
    return np.empty(2 * nodes(P) * rows + BYTES // P.itemsize, P.dtype)


@jit_inlined
def batch_gradient(P: Array, At: Array, Yt: Array, start: int, stop: int, rows: int, G: Array, work: Array) -> float:
    """Write the summed gradient of the samples start to stop into G; return their summed loss.

    At and Yt are the inputs and the targets, transposed in blocks of up to ``rows`` samples.
    """
    n, k = size(P, 0), size(P, int(P[0]))
    total = 0.0
    for begin in range(start, stop, rows):
        samples = min(rows, stop - begin)
        A, Y = part(At, begin * n, (n, samples)), part(Yt, begin * k, (k, samples))
        total += backpropagate(P, A, Y, G, work, int(begin > start))
    return total


@jit
def train(
    P: Array,
    X: Array,
    Y: Array,
    G: Array,
    batch: int,
    learning_rate: float,
    bias_learning_rate: float,
    mean: bool,
    losses: Array,
) -> None:
    """Train by gradient descent in batches of ``batch`` samples; write the summed loss of each epoch into losses.

    G, laid out like the parameters but without padding, receives the summed gradient of the last batch. The backend
    computes a gradient by calling this function with rates of 0, which change no parameter, because a separate kernel
    would take as long to compile as this function.
    """
    rows = min(block_rows(P), batch)
    work = workspace(P, rows)
    At, Yt = transpose_in_blocks(X, rows, batch), transpose_in_blocks(Y, rows, batch)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += batch_gradient(P, At, Yt, start, stop, rows, G, work)
            update(P, G, stop - start, learning_rate, bias_learning_rate, mean)


@jit
def total_loss(P: Array, X: Array, Y: Array) -> float:
    """Return the summed loss of a batch, X (samples, n_in) and Y (samples, n_out)."""
    rows = min(block_rows(P), len(X))
    work, n, k = workspace(P, rows), X.shape[1], Y.shape[1]
    inputs, targets, errors = np.empty(n * rows, X.dtype), np.empty(k * rows, X.dtype), np.empty(k * rows, X.dtype)
    total = 0.0
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        A, T, D = part(inputs, 0, (n, samples)), part(targets, 0, (k, samples)), part(errors, 0, (k, samples))
        transpose(part(X, begin * n, (samples, n)), A)
        transpose(part(Y, begin * k, (samples, k)), T)
        w = propagate(P, A, work)
        total += loss_and_error(P, part(work, w - T.size, T.shape), T, D)
    return total


@jit
def forward(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out)."""
    n, k, rows = X.shape[1], out.shape[1], min(block_rows(P), len(X))
    work, transposed = workspace(P, rows), np.empty(n * rows, X.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        A = part(transposed, 0, (n, samples))
        transpose(part(X, begin * n, (samples, n)), A)
        w = propagate(P, A, work)
        Z = part(work, w - k * samples, (k, samples))
        activate(int(P[OUTPUT]), Z)
        transpose(Z, part(out, begin * k, (samples, k)))
