"""One array for a whole model: each argument of a call from Python costs 0.03 µs to unpack.

A header, of the number of layers, the codes of the activations and the loss, and the layer sizes; then for each layer
b (m,) and W (n, m) row by row; then room for one sample: its inputs, its layers, and a vector beyond them. A row of a
vector or more is filled up with zeros, so that every row begins a vector in memory.
"""

from __future__ import annotations

from impls._backend import Array
from impls._simd.affine import BYTES
from impls._simd.options import jit_inner

HIDDEN, OUTPUT, LOSS, SIZES = 1, 2, 3, 4
"""Places in the header; place 0 holds the number of layers."""


@jit_inner
def first_layer(P: Array) -> int:
    """Where the parameters of the first layer begin."""
    return SIZES + int(P[0]) + 1


@jit_inner
def size(P: Array, layer: int) -> int:
    """Nodes of a layer; layer 0 is the input."""
    return int(P[SIZES + layer])


@jit_inner
def width(P: Array, m: int) -> int:
    """Places that a row of m weights or biases takes."""
    lanes = BYTES // P.itemsize
    return m if m < lanes else (m + lanes - 1) // lanes * lanes


@jit_inner
def nodes(P: Array) -> int:
    """Nodes of all layers but the input."""
    total = 0
    for layer in range(int(P[0])):
        total += size(P, layer + 1)
    return total


@jit_inner
def widest_product(P: Array) -> int:
    """Number of weights of the layer that has most."""
    most = 0
    for layer in range(int(P[0])):
        most = max(most, size(P, layer) * size(P, layer + 1))
    return most
