"""The compiled loops of the probes: what is measured, over and over, with next to nothing around it."""

from __future__ import annotations

import numpy as np

from impls import Array
from impls._simd.functions import exp
from impls._simd.options import jit, jit_reordered, wide_vectors


@jit
def products(A: Array, B: Array, C: Array, times: int) -> None:
    """C = A B, by the BLAS that Numba finds."""
    for _ in range(times):
        np.dot(A, B, C)


@jit
def exp_of_negative(z: Array) -> None:
    """Replace z (n,) by exp(-z): over and over again that goes to 0.567, and the numbers stay ordinary ones."""
    wide_vectors()
    for j in range(len(z)):
        z[j] = exp(-z[j])


@jit
def exponentials(z: Array, times: int) -> None:
    """The same, by the exponential of ``numba_simd``."""
    for _ in range(times):
        exp_of_negative(z)


@jit_reordered
def total(a: Array) -> float:
    """Sum of a (n,), n even; of two halves, for a sum waits for itself."""
    wide_vectors()
    half = len(a) // 2
    low, high = a[:half], a[half:]
    x = y = 0.0
    for i in range(half):
        x += low[i]
        y += high[i]
    return x + y


@jit
def reading(a: Array, times: int) -> float:
    """Read a."""
    found = 0.0
    for _ in range(times):
        found += total(a)
    return found


@jit
def empty_forward(P: Array, X: Array, out: Array) -> None:
    """Nothing, with the arguments of ``forward``."""


@jit
def empty_gradient(P: Array, X: Array, Y: Array, G: Array) -> None:
    """Nothing, with the arguments of ``gradient``."""


@jit
def empty_train(
    P: Array, X: Array, Y: Array, G: Array, batch: int, rate: float, bias_rate: float, mean: bool, losses: Array
) -> None:
    """Nothing, with the arguments of ``train``."""
