"""Forward pass, loss and training of batches, divided into blocks of samples in the layout that suits the network."""

from __future__ import annotations

import numpy as np

from impls._backend import Array
from impls._codes import SOFTMAX
from impls._simd import blocks, sample_blocks
from impls._simd.blocks import SMALL, reads_samples, transpose
from impls._simd.functions import activate, activate_one, softmax_of_one
from impls._simd.options import jit, jit_inlined, jit_inner
from impls._simd.packed import OUTPUT, first_layer, nodes, size, widest_product, width
from impls._simd.parts import part, row

WIDE = 2**13
"""Largest number of weights of a layer for which a gradient is faster in blocks (nodes, samples)."""


@jit_inlined
def is_wide(P: Array) -> bool:
    """Return whether gradients are computed in blocks (samples, nodes)."""
    return widest_product(P) > WIDE


@jit_inner
def gradient_rows(P: Array, batch: int) -> int:
    """Return the samples per block of the gradient of a batch."""
    return sample_blocks.gradient_rows(batch) if is_wide(P) else min(blocks.block_rows(P), batch)


@jit_inlined
def needs_transposed(P: Array, rows: int) -> bool:
    """Return whether a gradient, in blocks of up to ``rows`` samples, reads a transposed copy of the inputs."""
    return not (is_wide(P) or reads_samples(P, rows))


@jit_inlined
def needs_transposed_targets(P: Array) -> bool:
    """Return whether a gradient or a loss reads a transposed copy of the targets."""
    return not is_wide(P) or sample_blocks.transposes_outputs(P)


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
def batch_gradient(
    P: Array, X: Array, At: Array, Yt: Array, start: int, stop: int, rows: int, G: Array, first_dW: Array, work: Array
) -> float:
    """Write the summed gradient of the samples start to stop into G; return their summed loss."""
    n, m, k = X.shape[1], size(P, 1), size(P, int(P[0]))
    total = 0.0
    for begin in range(start, stop, rows):
        samples = min(rows, stop - begin)
        x, Y, kept = part(X, begin * n, (samples, n)), part(Yt, begin * k, (k, samples)), int(begin > start)
        if is_wide(P):
            total += sample_blocks.backpropagate(P, x, Y, G, work, kept)
        else:
            A = part(At, begin * n, (n, samples if len(At) > 0 else 0))
            total += blocks.backpropagate(P, A, x, Y, G, first_dW, work, kept)
    if len(At) == 0 and not is_wide(P):
        transpose(part(first_dW, 0, (m, n)), part(G, m, (n, m)))
    return total


@jit_inner
def workspace(P: Array, rows: int) -> Array:
    """Allocate the workspace for a block: the values of its layers, their derivatives, and copies of the outputs."""
    return np.empty((2 * nodes(P) + 3 * size(P, int(P[0]))) * rows, P.dtype)


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
    rows = gradient_rows(P, batch)
    first_dW, work = np.empty(size(P, 0) * size(P, 1), P.dtype), workspace(P, rows)
    At = transpose_in_blocks(X, rows, batch) if needs_transposed(P, rows) else np.empty(0, X.dtype)
    Yt = transpose_in_blocks(Y, rows, batch) if needs_transposed_targets(P) else part(Y, 0, Y.size)
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), batch):
            stop = min(start + batch, len(X))
            losses[epoch] += batch_gradient(P, X, At, Yt, start, stop, rows, G, first_dW, work)
            if learning_rate > 0 or bias_learning_rate > 0:  # at rates of 0, an infinite gradient would give NaN
                share = 1 / (stop - start) if mean else 1.0
                descend(P, G, P.dtype.type(learning_rate * share), P.dtype.type(bias_learning_rate * share))


@jit_inner
def descend(P: Array, G: Array, rate: float, bias_rate: float) -> None:
    """Subtract the gradient, multiplied by the rates, from the parameters."""
    p, g = first_layer(P), 0
    for layer in range(int(P[0])):
        n, m = size(P, layer), size(P, layer + 1)
        wide = width(P, m)
        subtract_scaled(part(P, p, m), part(G, g, m), bias_rate)
        p += wide
        g += m
        rows, columns = (1, n * m) if wide == m else (n, m)
        for i in range(rows):
            subtract_scaled(part(P, p + i * wide, columns), part(G, g + i * m, columns), rate)
        p += n * wide
        g += n * m


@jit_inner
def subtract_scaled(a: Array, b: Array, rate: float) -> None:
    """Subtract rate * b from a."""
    for i in range(len(a)):
        a[i] -= rate * b[i]


@jit
def total_loss(P: Array, X: Array, Y: Array) -> float:
    """Return the summed loss of a batch, X (samples, n_in) and Y (samples, n_out)."""
    n, k = X.shape[1], Y.shape[1]
    rows = min(sample_blocks.block_rows(P) if is_wide(P) else blocks.block_rows(P), len(X))
    work, copied = workspace(P, rows), rows if needs_transposed(P, rows) else 0
    inputs, targets, errors = np.empty(n * rows, X.dtype), np.empty(k * rows, X.dtype), np.empty(k * rows, X.dtype)
    total = 0.0
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        x, T = part(X, begin * n, (samples, n)), part(Y, begin * k, (k, samples))
        if needs_transposed_targets(P):
            T = part(targets, 0, (k, samples))
            transpose(part(Y, begin * k, (samples, k)), T)
        if is_wide(P):
            total += sample_blocks.loss_and_delta(P, x, T, work)
        else:
            A = part(inputs, 0, (n, min(copied, samples)))
            transpose(x, A)
            w = blocks.propagate(P, x, A, work) - T.size
            total += blocks.loss_and_error(P, part(work, w, T.shape), T, part(errors, 0, T.shape))
    return total


@jit_inlined
def forward_narrow(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out), in blocks (nodes, samples)."""
    n, k, rows = X.shape[1], out.shape[1], min(blocks.block_rows(P), len(X))
    work, transposed = workspace(P, rows), np.empty(n * rows, X.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        A = part(transposed, 0, (n, samples))
        x = part(X, begin * n, (samples, n))
        transpose(x, A)
        w = blocks.propagate(P, x, A, work)
        Z = part(work, w - k * samples, (k, samples))
        activate(int(P[OUTPUT]), Z)
        transpose(Z, part(out, begin * k, (samples, k)))


@jit_inlined
def forward_wide(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out), in blocks (samples, nodes)."""
    n, k, rows = X.shape[1], out.shape[1], min(sample_blocks.block_rows(P), len(X))
    work = np.empty(nodes(P) * rows, P.dtype)
    for begin in range(0, len(X), rows):
        samples = min(rows, len(X) - begin)
        Z = part(out, begin * k, (samples, k))
        sample_blocks.propagate(P, part(X, begin * n, (samples, n)), work, Z)
        if int(P[OUTPUT]) == SOFTMAX:
            for s in range(samples):
                softmax_of_one(row(Z, s))
        else:
            activate_one(int(P[OUTPUT]), part(Z, 0, Z.size))


@jit
def forward_batch(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (samples, n_in), into out (samples, n_out)."""
    if widest_product(P) > SMALL:
        forward_wide(P, X, out)
    else:
        forward_narrow(P, X, out)
