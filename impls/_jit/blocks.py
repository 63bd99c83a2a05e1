"""A batch in blocks of samples, small enough to stay in the nearest caches from the first layer to the gradient.

Within a block the samples lie side by side, (nodes, samples): every loop runs over samples, is as long as the block,
and is vectorized, however narrow the layers. Products of wide layers are left to BLAS.
"""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import (
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    MEAN_SQUARED_ERROR,
    SOFTMAX,
)
from impls._jit.blas import N, T, add_product
from impls._jit.functions import activate, activate_one, exp, log1p, multiply_derivative, softmax_of_one
from impls._jit.options import jit, jit_reordered, wide_vectors
from impls._jit.packed import HIDDEN, LOSS, OUTPUT, first_layer, nodes, size, widest_product

SMALL = 256
"""Weights up to which loops are quicker than a call of BLAS."""

CACHED = 4096
"""Values of a block, over all its layers, that stay near the processor."""


@jit
def block_rows(P: Array) -> int:
    """Samples of a block: 64 for wide networks, for which BLAS is quickest, up to 512 for narrow ones."""
    return min(512, max(64, CACHED // nodes(P) // 64 * 64))


@jit
def transpose(X: Array, A: Array) -> None:
    """Write X (samples, n) into A (n, samples)."""
    for i in range(len(A)):
        a = A[i]
        for s in range(len(a)):
            a[s] = X[s, i]


@jit
def affine(W: Array, b: Array, A: Array, Z: Array) -> None:
    """Write Wᵀ A + b into Z (m, samples), for W (n, m) row by row and A (n, samples)."""
    n, samples, m = len(A), A.shape[1], len(Z)
    for j in range(m):
        z, start = Z[j], b[j]
        for s in range(samples):
            z[s] = start
    if n * m > SMALL:
        add_product(N, T, samples, m, n, A.reshape(-1), samples, W, m, Z.reshape(-1), samples)
        return
    for j in range(m):
        z = Z[j]
        i = 0
        while i + 4 <= n:
            a0, a1, a2, a3 = A[i], A[i + 1], A[i + 2], A[i + 3]
            w0, w1, w2, w3 = W[i * m + j], W[i * m + m + j], W[i * m + 2 * m + j], W[i * m + 3 * m + j]
            for s in range(samples):
                z[s] += w0 * a0[s] + w1 * a1[s] + w2 * a2[s] + w3 * a3[s]
            i += 4
        while i < n:
            a0, w0 = A[i], W[i * m + j]
            for s in range(samples):
                z[s] += w0 * a0[s]
            i += 1


@jit_reordered
def dot(a: Array, b: Array) -> float:
    """Sum of a b."""
    total = a.dtype.type(0)
    for s in range(len(a)):
        total += a[s] * b[s]
    return total


@jit_reordered
def total_of(a: Array) -> float:
    """Sum of a."""
    total = a.dtype.type(0)
    for s in range(len(a)):
        total += a[s]
    return total


@jit
def add_outer(A: Array, D: Array, dW: Array) -> None:
    """Add A Dᵀ to dW (n, m) row by row, for A (n, samples) and D (m, samples)."""
    n, samples, m = len(A), A.shape[1], len(D)
    if n * m > SMALL:
        add_product(T, N, m, n, samples, D.reshape(-1), samples, A.reshape(-1), samples, dW, m)
        return
    for i in range(n):
        for j in range(m):
            dW[i * m + j] += dot(A[i], D[j])


@jit
def back(W: Array, D: Array, A: Array) -> None:
    """Write W D into A (n, samples), for W (n, m) row by row and D (m, samples)."""
    n, samples, m = len(A), A.shape[1], len(D)
    if n * m > SMALL:
        A[:] = 0
        add_product(N, N, samples, n, m, D.reshape(-1), samples, W, m, A.reshape(-1), samples)
        return
    for i in range(n):
        a, d, w = A[i], D[0], W[i * m]
        for s in range(samples):
            a[s] = w * d[s]
        for j in range(1, m):
            d, w = D[j], W[i * m + j]
            for s in range(samples):
                a[s] += w * d[s]


@jit
def propagate(P: Array, A: Array, work: Array) -> int:
    """Write the activations of the hidden layers and the logits into work; return the place after them."""
    layers, samples, p, w = int(P[0]), A.shape[1], first_layer(P), 0
    for layer in range(layers):
        n, m = len(A), size(P, layer + 1)
        Z = work[w : w + m * samples].reshape(m, samples)
        affine(P[p + m : p + m + n * m], P[p : p + m], A, Z)
        if layer < layers - 1:
            activate(int(P[HIDDEN]), Z)
        p += (n + 1) * m
        w += m * samples
        A = Z
    return w


@jit
def binary_cross_entropy(z: float, y: float) -> float:
    """Cross-entropy of one output, from its logit z and target y."""
    one = type(z)(1)
    return (z * (one - y) if z > 0 else -z * y) + log1p(exp(-abs(z)))


@jit
def binary_cross_entropies(z: Array, y: Array, losses: Array) -> None:
    """Write the cross-entropies of logits z with targets y into losses, all (n,)."""
    wide_vectors()
    for s in range(len(z)):
        losses[s] = binary_cross_entropy(z[s], y[s])


@jit
def categorical_cross_entropy(Z: Array, Y: Array, s: int) -> float:
    """Cross-entropy of one sample of a block, from its logits."""
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


@jit
def loss_and_error(P: Array, Z: Array, Y: Array, D: Array) -> float:
    """Return a block's summed loss; turn its logits Z into outputs, and write outputs minus targets into D."""
    output, loss = int(P[OUTPUT]), int(P[LOSS])
    z, y, d = Z.reshape(-1), Y.reshape(-1), D.reshape(-1)
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


@jit
def backpropagate(P: Array, A0: Array, X: Array, Y: Array, G: Array, first: Array, work: Array) -> float:
    """Add a block's summed gradient to G, laid out like the parameters; return its summed loss.

    A0 (n_in, samples) are the inputs, and X (samples, n_in) as well: with these BLAS is twice as quick, but the product
    comes out transposed. So the gradient of a wide first layer's weights is added to ``first``, (m, n_in) row by row.
    """
    layers, samples = int(P[0]), A0.shape[1]
    w = propagate(P, A0, work)
    w -= Y.size
    Z: Array = work[w : w + Y.size].reshape(Y.shape)
    free = w + Y.size
    D: Array = work[free : free + Y.size].reshape(Y.shape)
    free += Y.size
    total = loss_and_error(P, Z, Y, D)
    if int(P[LOSS]) < BINARY_CROSS_ENTROPY:
        multiply_derivative(int(P[OUTPUT]), Z, D)
        if int(P[LOSS]) == MEAN_SQUARED_ERROR:
            D *= P.dtype.type(2 / len(D))
    p, g = first_layer(P), len(G)
    for layer in range(layers - 1, 0, -1):
        n, m = size(P, layer), len(D)
        g -= (n + 1) * m
        w -= n * samples
        A = work[w : w + n * samples].reshape(n, samples)
        add_outer(A, D, G[g + m : g + m + n * m])
        for j in range(m):
            G[g + j] += total_of(D[j])
        E = work[free : free + n * samples].reshape(n, samples)
        back(P[p + g + m : p + g + m + n * m], D, E)
        multiply_derivative(int(P[HIDDEN]), A, E)
        free += n * samples
        D = E
    n, m = len(A0), len(D)
    if n * m > SMALL:
        add_product(N, N, n, m, samples, X.reshape(-1), n, D.reshape(-1), samples, first, n)
    else:
        add_outer(A0, D, G[m : m + n * m])
    for j in range(m):
        G[j] += total_of(D[j])
    return total


@jit
def side_by_side(X: Array, rows: int, size: int) -> Array:
    """X (samples, n), transposed block by block: batches of ``size`` in blocks of ``rows``."""
    n = X.shape[1]
    turned = np.empty(X.size, X.dtype)
    for start in range(0, len(X), size):
        stop = min(start + size, len(X))
        for first in range(start, stop, rows):
            last = min(first + rows, stop)
            transpose(X[first:last], turned[first * n : last * n].reshape(n, last - first))
    return turned


@jit
def batch_gradient(
    P: Array, X: Array, At: Array, Yt: Array, start: int, stop: int, rows: int, G: Array, first: Array, work: Array
) -> float:
    """Write the summed gradient of the samples start to stop into G; return their summed loss."""
    n, m, k = X.shape[1], size(P, 1), size(P, int(P[0]))
    G[:] = 0
    first[:] = 0
    total = 0.0
    for begin in range(start, stop, rows):
        end = min(begin + rows, stop)
        A, Y = At[begin * n : end * n].reshape(n, end - begin), Yt[begin * k : end * k].reshape(k, end - begin)
        total += backpropagate(P, A, X[begin:end], Y, G, first, work)
    if n * m > SMALL:
        transpose(first.reshape(m, n), G[m : m + n * m].reshape(n, m))
    return total


@jit
def room(P: Array, rows: int) -> Array:
    """Workspace for a block: its layers, and their derivatives."""
    return np.empty(2 * nodes(P) * rows, P.dtype)


@jit
def gradient(P: Array, X: Array, Y: Array, G: Array) -> float:
    """Write the summed gradient of a batch into G, laid out like the parameters in P; return its summed loss."""
    rows = min(block_rows(P), len(X))
    first = np.empty(size(P, 0) * size(P, 1), P.dtype)
    At, Yt = side_by_side(X, rows, len(X)), side_by_side(Y, rows, len(X))
    return batch_gradient(P, X, At, Yt, 0, len(X), rows, G, first, room(P, rows))


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
    """Gradient descent in batches of ``batch`` samples; write the summed loss of each epoch into losses."""
    rows = min(block_rows(P), batch)
    first, work = np.empty(size(P, 0) * size(P, 1), P.dtype), room(P, rows)
    At, Yt = side_by_side(X, rows, batch), side_by_side(Y, rows, batch)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += batch_gradient(P, X, At, Yt, start, stop, rows, G, first, work)
            scale = 1 / (stop - start) if mean else 1.0
            descend(P, G, P.dtype.type(learning_rate * scale), P.dtype.type(bias_learning_rate * scale))


@jit
def descend(P: Array, G: Array, rate: float, bias_rate: float) -> None:
    """Subtract the gradient times the rates from the parameters."""
    p, g = first_layer(P), 0
    for layer in range(int(P[0])):
        m = size(P, layer + 1)
        q = (size(P, layer) + 1) * m
        bias, weights = P[p : p + m], P[p + m : p + q]
        bias -= bias_rate * G[g : g + m]
        weights -= rate * G[g + m : g + q]
        p += q
        g += q


@jit
def total_loss(P: Array, X: Array, Y: Array) -> float:
    """Summed loss of a batch."""
    rows = min(block_rows(P), len(X))
    work = room(P, rows)
    total = 0.0
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        inputs = np.empty((X.shape[1], samples), X.dtype)
        targets = np.empty((Y.shape[1], samples), X.dtype)
        transpose(X[begin : begin + samples], inputs)
        transpose(Y[begin : begin + samples], targets)
        w = propagate(P, inputs, work)
        Z = work[w - targets.size : w].reshape(targets.shape)
        total += loss_and_error(P, Z, targets, np.empty_like(targets))
    return total


@jit
def forward_narrow(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out), with the samples side by side."""
    rows = min(block_rows(P), len(X))
    work = room(P, rows)
    turned = np.empty(X.shape[1] * rows, X.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        A = turned[: X.shape[1] * samples].reshape(X.shape[1], samples)
        transpose(X[begin : begin + samples], A)
        w = propagate(P, A, work)
        Z = work[w - out.shape[1] * samples : w].reshape(out.shape[1], samples)
        activate(int(P[OUTPUT]), Z)
        transpose(Z, out[begin : begin + samples])


@jit
def forward_wide(P: Array, X: Array, out: Array) -> None:
    """The same with the samples one after another, as they come: for BLAS on wide layers there is no need to turn."""
    layers, rows = int(P[0]), min(64, len(X))
    work = np.empty(nodes(P) * rows, P.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        A, p, w = X[begin : begin + samples].reshape(-1), first_layer(P), 0
        for layer in range(layers):
            n, m = size(P, layer), size(P, layer + 1)
            last = layer == layers - 1
            z = out[begin : begin + samples].reshape(-1) if last else work[w : w + m * samples]
            Z = z.reshape(samples, m)
            b = P[p : p + m]
            for s in range(samples):
                row = Z[s]
                for j in range(m):
                    row[j] = b[j]
            add_product(N, N, m, samples, n, P[p + m : p + m + n * m], m, A, n, z, m)
            if last and int(P[OUTPUT]) == SOFTMAX:
                for s in range(samples):
                    softmax_of_one(Z[s])
            else:
                activate_one(int(P[OUTPUT]) if last else int(P[HIDDEN]), z)
            p += (n + 1) * m
            w += m * samples
            A = z


@jit
def forward_batch(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out)."""
    if widest_product(P) > SMALL:
        forward_wide(P, X, out)
    else:
        forward_narrow(P, X, out)
