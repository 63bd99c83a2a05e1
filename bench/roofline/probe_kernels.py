"""The compiled kernels of the probes: loops that repeat the measured work with little else around it."""

from __future__ import annotations

import numpy as np

from impls import Array
from impls._simd.functions import exp
from impls._simd.options import jit, jit_reordered, wide_vectors


@jit
def products(A: Array, B: Array, C: Array, times: int) -> None:
    """Compute C = A B ``times`` times, with the BLAS library that Numba uses."""
    for _ in range(times):
        np.dot(A, B, C)


@jit
def exp_of_negative(z: Array) -> None:
    """Replace z (n,) by exp(-z). Repeated calls converge to 0.567, so no value overflows or becomes subnormal."""
    wide_vectors()
    for j in range(len(z)):
        z[j] = exp(-z[j])


@jit
def exponentials(z: Array, times: int) -> None:
    """Apply ``exp_of_negative`` to z (n,) ``times`` times, with the exponential function of ``numba_simd``."""
    for _ in range(times):
        exp_of_negative(z)


@jit_reordered
def total(a: Array) -> float:
    """Sum a (n,), n even, as two independent halves, because each addition waits for the one before it."""
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
    """Read a (n,), n even, ``times`` times; the sum that is returned keeps the compiler from omitting the reads."""
    repeated_total = 0.0
    for _ in range(times):
        repeated_total += total(a)
    return repeated_total


@jit
def empty_forward(P: Array, X: Array, out: Array) -> None:
    """Do nothing, with the arguments of ``forward``."""


@jit
def empty_gradient(P: Array, X: Array, Y: Array, G: Array) -> None:
    """Do nothing, with the arguments of ``gradient``."""


@jit
def empty_train(
    P: Array, X: Array, Y: Array, G: Array, batch: int, rate: float, bias_rate: float, mean: bool, losses: Array
) -> None:
    """Do nothing, with the arguments of ``train``."""
