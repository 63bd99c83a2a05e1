"""One array P for a whole model, because Numba takes 0.03 µs to unpack each array argument of a call from Python.

P consists of three parts:

- The header: the number of layers, the codes of the activations and the loss, and the layer sizes.
- The parameters: for each layer b (m,) and then W (n, m), row by row. A row that fills at least one vector is padded
  with zeros, and so is a layer, so that every such row starts at a vector boundary in memory. A row of a
  multiple of CROWDED bytes gets one more vector: the rows would otherwise compete for few places in the L1 cache.
- The workspace for one sample: the inputs, the nodes of all layers, and one vector of padding.
"""

from __future__ import annotations

from numba.extending import register_jitable

from impls._backend import Array
from impls._simd.affine import BYTES
from impls._simd.options import jit_inner

HIDDEN, OUTPUT, LOSS, SIZES = 1, 2, 3, 4
"""Indices in the header; index 0 is the number of layers."""

CROWDED = 512
"""Rows so many bytes apart use an eighth of the L1 cache: it finds an address by its remainder modulo 4096."""


@jit_inner
def first_layer(P: Array) -> int:
    """Return the index of the first layer's parameters."""
    return SIZES + int(P[0]) + 1


@jit_inner
def size(P: Array, layer: int) -> int:
    """Return the number of nodes of a layer; layer 0 is the input."""
    return int(P[SIZES + layer])


@register_jitable
def padded_width(m: int, itemsize: int) -> int:
    """Return the number of elements that a row of m weights or biases takes, padding included."""
    lanes = BYTES // itemsize
    if m < lanes:
        return m
    padded = (m + lanes - 1) // lanes * lanes
    return padded + lanes if padded * itemsize % CROWDED == 0 else padded


@register_jitable
def padded_size(n: int, m: int, itemsize: int) -> int:
    """Return the number of elements that the parameters of a layer (n, m) take, padding included."""
    lanes = BYTES // itemsize
    return ((n + 1) * padded_width(m, itemsize) + lanes - 1) // lanes * lanes


@jit_inner
def width(P: Array, m: int) -> int:
    """Return the number of elements that a row of m weights or biases takes in P, padding included."""
    return padded_width(m, P.itemsize)


@jit_inner
def layer_size(P: Array, n: int, m: int) -> int:
    """Return the number of elements that the parameters of a layer (n, m) take in P, padding included."""
    return padded_size(n, m, P.itemsize)


@jit_inner
def nodes(P: Array) -> int:
    """Return the number of nodes of all layers, without the input."""
    total = 0
    for layer in range(int(P[0])):
        total += size(P, layer + 1)
    return total


@jit_inner
def widest_product(P: Array) -> int:
    """Return the largest number of weights of a layer."""
    most = 0
    for layer in range(int(P[0])):
        most = max(most, size(P, layer) * size(P, layer + 1))
    return most
