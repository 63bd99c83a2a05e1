"""Batches of layers of more than a few nodes, in blocks (samples, nodes).

Tiles compute the products of the forward pass and the gradients of small layers, and BLAS the other gradients.
"""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import SOFTMAX
from impls._simd import blocks
from impls._simd.affine import BYTES
from impls._simd.blas import N, T, product
from impls._simd.blocks import dot, total_of, workspace
from impls._simd.descent import update
from impls._simd.functions import activate_one, exps, multiply_derivative, softmax_of_one
from impls._simd.options import jit, jit_inlined, jit_inner
from impls._simd.packed import HIDDEN, OUTPUT, first_layer, layer_size, nodes, size, widest_product, width
from impls._simd.parts import part, row
from impls._simd.target import UNIT
from impls._simd.tiles import FEW, affine_in_tiles, outer_in_tiles

LARGE = 2**19
"""Largest number of weights of a layer for which tiles are faster than BLAS; in float32, tiles of the largest vectors
are faster for any number."""

MANY = 128
"""Largest number of samples for which tiles are as fast as BLAS in float32, however large the layer."""

SMALL = 2**11
"""Largest number of weights for which tiles compute the gradient faster than BLAS, whose set-up and edges take longer.

Tiles do not copy their operands, so those of a larger layer are read from slower caches.
"""

PAIR = 2
"""Largest number of samples for which dot products are faster than BLAS."""

FEW_BYTES = 32
"""Bytes of a layer's inputs for one sample up to which loops compute the gradient of the weights faster than BLAS; half
as many of its outputs, and for the gradient of the inputs."""


@jit_inner
def is_large(P: Array, weights: int) -> bool:
    """Return whether BLAS computes a layer of so many weights faster than tiles."""
    return weights > LARGE and (P.itemsize == 8 or UNIT.bytes < 64)


@jit_inner
def block_rows(P: Array) -> int:
    """Return the samples per block of a forward pass: more if BLAS copies the weights for each block."""
    return 256 if is_large(P, widest_product(P)) else 64


@jit_inner
def gradient_rows(batch: int) -> int:
    """Return the samples per block of a gradient: about 256, and equally many in each block of the batch."""
    return -(-batch // max(1, (batch + 128) // 256))


@jit_inner
def affine(P: Array, p: int, A: Array, Z: Array) -> None:
    """Write A W + b into Z (samples, m), for A (samples, n) and the layer whose parameters begin at P[p]."""
    (samples, n), m = A.shape, Z.shape[1]
    b, W = part(P, p, m), part(P, p + width(P, m), (n, width(P, m)))
    if m == 1:
        w = part(W, 0, n)
        for s in range(samples):
            Z[s, 0] = b[0] + dot(row(A, s), w)
    elif samples > (FEW if P.itemsize == 8 else MANY) and is_large(P, n * m):
        for s in range(samples):
            z = row(Z, s)
            for j in range(m):
                z[j] = b[j]
        product(N, N, m, samples, n, W, W.shape[1], A, n, Z, m, 1)
    else:
        affine_in_tiles(b, W, A, Z)


@jit_inner
def propagate(P: Array, X: Array, work: Array, Z: Array) -> None:
    """Write the logits into Z (samples, n_out), and the activations of the hidden layers, one by one, into work.

    X is (samples, n_in).
    """
    layers, samples, p, w = int(P[0]), len(X), first_layer(P), 0
    A = X
    for layer in range(layers - 1):
        m = size(P, layer + 1)
        hidden = part(work, w, (samples, m))
        affine(P, p, A, hidden)
        activate_one(int(P[HIDDEN]), part(hidden, 0, hidden.size))
        p += layer_size(P, A.shape[1], m)
        w += m * samples
        A = hidden
    affine(P, p, A, Z)


@jit_inner
def softmax_loss_and_delta(z: Array, y: Array, d: Array) -> float:
    """Return the cross-entropy of one sample, from its logits z and targets y; write outputs minus targets into d.

    All arrays are (n,). The exponentials are computed once. z is overwritten.
    """
    top, one = 0, z.dtype.type(1)
    for j in range(1, len(z)):
        top = j if z[j] > z[top] else top
    largest = z[top]
    for j in range(len(z)):
        z[j] -= largest
        d[j] = z[j]
    exps(d)
    others = total_of(part(d, 0, top)) + total_of(part(d, top + 1, len(d) - top - 1))
    total, log_total = one + others, np.log1p(others)
    for j in range(len(z)):
        z[j] = log_total - z[j]
        d[j] = d[j] / total - y[j]
    return float(dot(y, z))


@jit_inlined
def delta(P: Array, Y: Array, work: Array) -> Array:
    """Return the place in the workspace of the derivatives (samples, n_out) with respect to the logits."""
    samples, k = Y.shape
    return part(work, (2 * nodes(P) - k) * samples, Y.shape)


@jit_inlined
def loss_and_delta(P: Array, X: Array, Y: Array, work: Array) -> float:
    """Return a block's summed loss; write the activations, and the derivatives with respect to the logits, into work.

    X is (samples, n_in), and Y (samples, n_out). The activations are those of ``propagate``; ``delta`` returns the
    derivatives.
    """
    samples, k = Y.shape
    Z, D = part(work, 2 * (nodes(P) - k) * samples, Y.shape), delta(P, Y, work)
    propagate(P, X, work, Z)
    if int(P[OUTPUT]) != SOFTMAX:  # the others are computed by element, so that the order does not matter
        shape = k, samples
        return blocks.loss_and_delta(P, part(Z, 0, shape), part(Y, 0, shape), part(D, 0, shape))
    total = 0.0
    for s in range(samples):
        total += softmax_loss_and_delta(row(Z, s), row(Y, s), row(D, s))
    return total


@jit_inlined
def outer(A: Array, D: Array, dW: Array, kept: int) -> None:
    """Write Aᵀ D into dW, or add it if ``kept`` is 1, for A (samples, n) and D (samples, m).

    dW is the flattened rows of an (n, m) matrix. A vector may be read beyond the end of D.
    """
    (samples, n), m = A.shape, D.shape[1]
    if m == 1:
        outer_by_rows(D, A, dW, kept)  # the same sums, in a row of n instead of n rows of one
    elif samples > 1 and m * A.itemsize <= FEW_BYTES // 2:
        outer_by_columns(A, D, dW, kept)
    elif samples == 1 or n * A.itemsize <= FEW_BYTES:
        outer_by_rows(A, D, dW, kept)
    elif n * m <= SMALL:
        outer_in_tiles(A, D, dW, kept)
    else:
        product(N, T, m, n, samples, D, m, A, n, dW, m, kept)


@jit_inner
def outer_by_rows(A: Array, D: Array, dW: Array, kept: int) -> None:
    """``outer`` for few rows. It takes four samples at a time, to read and write dW less often."""
    (samples, n), m, first = A.shape, D.shape[1], 0
    if not kept:
        first = 1
        for i in range(n):
            g, a = part(dW, i * m, m), A[0, i]
            for j in range(m):
                g[j] = a * D[0, j]
    whole = samples - (samples - first) % 4
    for s in range(first, whole, 4):
        for i in range(n):
            g, a0, a1, a2, a3 = part(dW, i * m, m), A[s, i], A[s + 1, i], A[s + 2, i], A[s + 3, i]
            for j in range(m):
                g[j] += (a0 * D[s, j] + a1 * D[s + 1, j]) + (a2 * D[s + 2, j] + a3 * D[s + 3, j])
    for s in range(whole, samples):
        for i in range(n):
            g, a = part(dW, i * m, m), A[s, i]
            for j in range(m):
                g[j] += a * D[s, j]


@jit_inner
def outer_by_columns(A: Array, D: Array, dW: Array, kept: int) -> None:
    """``outer`` for few columns."""
    n, m = A.shape[1], D.shape[1]
    columns = np.empty(m * n, A.dtype)
    outer_by_rows(D, A, columns, np.int64(0))  # for a literal, Numba would compile the function again
    for i in range(n):
        for j in range(m):
            g = columns[j * n + i]
            dW[i * m + j] = dW[i * m + j] + g if kept else g


@jit_inner
def bias_gradient(D: Array, db: Array, kept: int) -> None:
    """Write the sum of the rows of D (samples, m) into db, or add it if ``kept`` is 1.

    Four rows at a time, because a row may be too short for a loop of its own.
    """
    samples, m = D.shape
    if not kept:
        for j in range(m):
            db[j] = 0
    whole = samples // 4 * 4
    for s in range(0, whole, 4):
        for j in range(m):
            db[j] += (D[s, j] + D[s + 1, j]) + (D[s + 2, j] + D[s + 3, j])
    for s in range(whole, samples):
        for j in range(m):
            db[j] += D[s, j]


@jit_inner
def propagate_back(W: Array, D: Array, E: Array) -> None:
    """Write D Wᵀ into E (samples, n), for W (n, m or more) and D (samples, m)."""
    (samples, n), m = E.shape, D.shape[1]
    if m == 1:
        w = part(W, 0, n)
        for s in range(samples):
            e, d = row(E, s), D[s, 0]
            for i in range(n):
                e[i] = d * w[i]
        return
    if samples > PAIR and n * D.itemsize > FEW_BYTES // 2:
        product(T, N, n, samples, m, W, W.shape[1], D, m, E, n, 0)
        return
    for i in range(n):
        w = part(W, i * W.shape[1], m)
        for s in range(samples):
            E[s, i] = dot(w, row(D, s))


@jit_inlined
def backpropagate(P: Array, X: Array, Y: Array, G: Array, work: Array, kept: int) -> float:
    """Write a block's summed gradient into G, or add it if ``kept`` is 1; return the block's summed loss.

    X and Y are those of ``loss_and_delta``. G is laid out like the parameters but without padding.
    """
    layers, samples = int(P[0]), len(X)
    total, w = loss_and_delta(P, X, Y, work), (nodes(P) - Y.shape[1]) * samples
    D = delta(P, Y, work)
    p, g, free = len(P) - X.shape[1] - nodes(P) - BYTES // P.itemsize, len(G), w
    for layer in range(layers - 1, -1, -1):
        n, m = size(P, layer), size(P, layer + 1)
        wide = width(P, m)
        p -= layer_size(P, n, m)
        g -= (n + 1) * m
        w -= n * samples
        A = part(work, w, (samples, n)) if layer > 0 else X
        outer(A, D, part(G, g + m, n * m), kept)
        bias_gradient(D, part(G, g, m), kept)
        if layer > 0:
            E = part(work, free, (samples, n))
            propagate_back(part(P, p + wide, (n, wide)), D, E)
            multiply_derivative(int(P[HIDDEN]), A, E)
            free += n * samples
            D = E
    return total


@jit_inlined
def batch_gradient(P: Array, X: Array, Y: Array, start: int, stop: int, rows: int, G: Array, work: Array) -> float:
    """Write the summed gradient of the samples start to stop into G; return their summed loss.

    X is (all samples, n_in), and Y (all samples, n_out).
    """
    n, k = X.shape[1], Y.shape[1]
    total = 0.0
    for begin in range(start, stop, rows):
        samples = min(rows, stop - begin)
        x, y = part(X, begin * n, (samples, n)), part(Y, begin * k, (samples, k))
        total += backpropagate(P, x, y, G, work, int(begin > start))
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
    """``blocks.train`` for wide layers."""
    rows = gradient_rows(batch)
    work = workspace(P, rows)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += batch_gradient(P, X, Y, start, stop, rows, G, work)
            update(P, G, stop - start, learning_rate, bias_learning_rate, mean)


@jit
def total_loss(P: Array, X: Array, Y: Array) -> float:
    """Return the summed loss of a batch, X (samples, n_in) and Y (samples, n_out)."""
    n, k, rows = X.shape[1], Y.shape[1], min(block_rows(P), len(X))
    work = workspace(P, rows)
    total = 0.0
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        total += loss_and_delta(P, part(X, begin * n, (samples, n)), part(Y, begin * k, (samples, k)), work)
    return total


@jit
def forward(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out)."""
    n, k, rows = X.shape[1], out.shape[1], min(block_rows(P), len(X))
    work = np.empty(nodes(P) * rows, P.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        Z = part(out, begin * k, (samples, k))
        propagate(P, part(X, begin * n, (samples, n)), work, Z)
        if int(P[OUTPUT]) == SOFTMAX:
            for s in range(samples):
                softmax_of_one(row(Z, s))
        else:
            activate_one(int(P[OUTPUT]), part(Z, 0, Z.size))
