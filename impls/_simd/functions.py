"""exp, tanh, log1p and the activations in loops that LLVM vectorizes, with an error of at most 3 ulp.

LLVM does not vectorize calls of ``math.exp``. Here exp x = 2^k (1 + r + r² p(r)), where x = k ln 2 + r, k is an integer
and |r| ≤ ½ ln 2. Adding 1.5 · 2⁵² to x / ln 2 rounds the quotient to the integer k and leaves k in the last bits of the
sum, from where k is shifted into the exponent. The polynomials are Chebyshev interpolations, computed by
``mpmath.chebyfit`` with 40 digits. In float64, the odd and the even powers of the exponential's polynomial are summed
separately, because the processor overlaps two short chains of dependent operations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from impls._backend import Array
from impls._codes import RELU, SIGMOID, SOFTMAX, TANH
from impls._simd.options import OPTIONS, jit_inlined, jit_inner, wide_vectors
from impls._simd.parts import part, row

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
ROUNDING = 6755399441055744.0
LOWEST, LOWEST_32 = -708.396418532264, np.float32(-87.33654)
"""Logarithms of the smallest normal numbers."""

LOG2_E_32 = np.float32(LOG2_E)
LN2_HIGH_32, LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
ROUNDING_32 = np.float32(12582912.0)
E0, E1, E2, E3, E4 = map(
    np.float32, (0.0013926183587713494, 0.008363179052722578, 0.041666554617204574, 0.16666576989698775, 0.5)
)
L0, L1, L2, L3 = map(np.float32, (0.2685149802283715, 0.2823661980531048, 0.40007560644911205, 0.6666664033669923))
ONE_32, TWO_32 = np.float32(1), np.float32(2)


@jit_inner
def parts64(x: Any) -> Any:
    """Return exp r - 1 and 2^k in float64. NaN propagates; callers must handle an x outside the range of exp."""
    shifted = x * LOG2_E + ROUNDING
    k = shifted - ROUNDING
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    square = r * r
    odd = 2.510038549551032e-08 * square + 2.7557268459997064e-06
    odd = odd * square + 0.00019841269863053618
    odd = odd * square + 0.008333333333330062
    odd = odd * square + 0.16666666666666669
    even = 2.7620088445409746e-07 * square + 2.4801521295954376e-05
    even = even * square + 0.0013888888917213717
    even = even * square + 0.04166666666662413
    even = even * square + 0.5000000000000001
    p = odd * r + even
    return p * square + r, np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)


@jit_inner
def parts32(x: Any) -> Any:
    """Return exp r - 1 and 2^k in float32. NaN propagates; callers must handle an x outside the range of exp."""
    shifted = x * LOG2_E_32 + ROUNDING_32
    k = shifted - ROUNDING_32
    r = (x - k * LN2_HIGH_32) - k * LN2_LOW_32
    p = (((E0 * r + E1) * r + E2) * r + E3) * r + E4
    return p * r * r + r, np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23)).view(
        np.float32
    )


def exp(x: float) -> float:
    """The exponential of x; 0 where it is smaller than every normal number, infinity above e^709 (e^88 in float32)."""
    raise NotImplementedError


def tanh(x: float) -> float:
    """The hyperbolic tangent of x, computed from exp(-2|x|) - 1, which is accurate for a small x."""
    raise NotImplementedError


def log1p(u: float) -> float:
    """log(1 + u) for u in [0, 1], computed as 2 artanh(u / (2 + u))."""
    raise NotImplementedError


@overload(exp, jit_options=OPTIONS)
def _exp(x: Any) -> Any:
    def exp64(x: Any) -> Any:
        p, power = parts64(x)
        value = p * power + power if not x > 709.0 else np.inf  # ``not x > …``, so that NaN propagates
        return 0.0 if x < LOWEST else value

    def exp32(x: Any) -> Any:
        p, power = parts32(x)
        value = p * power + power if not x > np.float32(88.0) else np.float32(np.inf)
        return np.float32(0) if x < LOWEST_32 else value

    return exp32 if x == types.float32 else exp64


@overload(tanh, jit_options=OPTIONS)
def _tanh(x: Any) -> Any:
    def tanh64(x: Any) -> Any:
        a = abs(x)
        p, power = parts64(-2.0 * (20.0 if a > 20.0 else a))
        t = p * power + (power - 1.0)
        return math.copysign(-t / (t + 2.0), x)

    def tanh32(x: Any) -> Any:
        a = abs(x)
        p, power = parts32(-TWO_32 * (np.float32(10) if a > np.float32(10) else a))
        t = p * power + (power - ONE_32)
        return np.float32(math.copysign(-t / (t + TWO_32), x))

    return tanh32 if x == types.float32 else tanh64


@overload(log1p, jit_options=OPTIONS)
def _log1p(u: Any) -> Any:
    def log64(u: Any) -> Any:
        s = u / (2.0 + u)
        t = s * s
        p = 0.1563057780092285 * t + 0.07492143795550767
        p = p * t + 0.10845178394880015
        p = p * t + 0.11734279061303197
        p = p * t + 0.13335178631449257
        p = p * t + 0.1538454396486055
        p = p * t + 0.18181819897962714
        p = p * t + 0.2222222219823677
        p = p * t + 0.285714285716001
        p = p * t + 0.39999999999999525
        p = p * t + 0.6666666666666666
        return s * (p * t) + 2.0 * s

    def log32(u: Any) -> Any:
        s = u / (TWO_32 + u)
        t = s * s
        p = ((L0 * t + L1) * t + L2) * t + L3
        return s * (p * t) + TWO_32 * s

    return log32 if u == types.float32 else log64


@jit_inner
def sigmoids(z: Array) -> None:
    """Replace z (n,) by its sigmoid."""
    wide_vectors()
    one = z.dtype.type(1)
    for j in range(len(z)):
        z[j] = one / (one + exp(-z[j]))


@jit_inner
def tanhs(z: Array) -> None:
    """Replace z (n,) by its hyperbolic tangent."""
    wide_vectors()
    for j in range(len(z)):
        z[j] = tanh(z[j])


@jit_inner
def exps(z: Array) -> None:
    """Replace z (n,) by its exponential."""
    wide_vectors()
    for j in range(len(z)):
        z[j] = exp(z[j])


@jit_inner
def relus(z: Array) -> None:
    """Replace z (n,) by 0 where it is negative."""
    zero = z.dtype.type(0)
    for j in range(len(z)):
        z[j] = zero if z[j] < zero else z[j]


@jit_inner
def softmax(Z: Array) -> None:
    """Replace Z (n, samples) by its softmax over the n nodes."""
    samples = Z.shape[1]
    top, total = np.empty(samples, Z.dtype), np.zeros(samples, Z.dtype)
    for s in range(samples):
        top[s] = Z[0, s]
    for j in range(1, len(Z)):
        z = row(Z, j)
        for s in range(samples):
            top[s] = z[s] if z[s] > top[s] else top[s]
    for j in range(len(Z)):
        z = row(Z, j)
        for s in range(samples):
            z[s] -= top[s]
        exps(z)
        for s in range(samples):
            total[s] += z[s]
    for j in range(len(Z)):
        z = row(Z, j)
        for s in range(samples):
            z[s] /= total[s]


@jit_inner
def softmax_of_one(z: Array) -> None:
    """Replace z (n,), a layer of one sample, by its softmax."""
    top = z[0]
    for j in range(1, len(z)):
        top = z[j] if z[j] > top else top
    for j in range(len(z)):
        z[j] -= top
    exps(z)
    total = z.dtype.type(0)
    for j in range(len(z)):
        total += z[j]
    for j in range(len(z)):
        z[j] /= total


@jit_inner
def activate_one(activation: int, z: Array) -> None:
    """Replace a layer of one sample, z (n,), by its activation."""
    if activation == SIGMOID:
        sigmoids(z)
    elif activation == TANH:
        tanhs(z)
    elif activation == RELU:
        relus(z)
    elif activation == SOFTMAX:
        softmax_of_one(z)


@jit_inlined
def activate(activation: int, Z: Array) -> None:
    """Replace a layer of a block, Z (n, samples), by its activation."""
    if activation == SOFTMAX:
        softmax(Z)
    else:
        activate_one(activation, part(Z, 0, Z.size))


@jit_inner
def derivative(activation: int, a: float) -> float:
    """Return the derivative of the activation, computed from the activation's value a."""
    one = type(a)(1)
    if activation == SIGMOID:
        return a * (one - a)
    if activation == TANH:
        return one - a * a
    if activation == RELU:
        return one if a > 0 else one - one
    return one


@jit_inner
def multiply_derivative(activation: int, A: Array, D: Array) -> None:
    """Multiply D (n, samples) by the derivative of the activation, computed from the activation's value A."""
    a, d = part(A, 0, A.size), part(D, 0, D.size)
    one, zero = a.dtype.type(1), a.dtype.type(0)
    if activation == SIGMOID:
        for j in range(len(a)):
            d[j] *= a[j] * (one - a[j])
    elif activation == TANH:
        for j in range(len(a)):
            d[j] *= one - a[j] * a[j]
    elif activation == RELU:
        for j in range(len(a)):
            d[j] = d[j] if a[j] > zero else zero
