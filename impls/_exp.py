"""exp and tanh in plain Python that LLVM can vectorize; LLVM does not vectorize calls of ``math.exp``.

Method: exp x = 2^k exp r, where x = k ln 2 + r, k is an integer and |r| ≤ ½ ln 2. Adding 1.5 · 2⁵² to x / ln 2 rounds
the quotient to the integer k and leaves k in the last bits of the sum, from where k is shifted into the exponent. ln 2
is subtracted in two parts, so that r keeps its last bits. exp r = 1 + r + r² p(r), where the polynomial p is
``mpmath.chebyfit`` of (exp r − 1 − r) / r² with 10 coefficients (5 for float32), each rounded to the dtype.

The error of exp is at most 1 ulp (unit in the last place), that of tanh at most 3 ulp, in float64 and in float32,
denormal results included. A large x gives infinity, and a very negative x gives 0. NaN gives NaN, and ±infinity gives
the limit.

Of the fastmath flags, ``reassoc`` is not allowed, because LLVM would cancel the addition and subtraction of 1.5 · 2⁵²;
``nnan`` is not allowed, because NaN would not propagate.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract"}}

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # LN2_HIGH * k is exact for every k
ROUND = 1.5 * 2**52
P64 = (
    2.5100375832561234e-08,
    2.7620075879983367e-07,
    2.7557268480310024e-06,
    2.4801521322368692e-05,
    0.00019841269863040545,
    0.0013888888917196719,
    0.008333333333330065,
    0.041666666666624164,
    0.16666666666666669,
    0.5000000000000001,
)
# Constants of type float32: a Python float in an expression would turn float32 into float64.
ONE, TWO, LOG2_E_32, ROUND_32 = map(np.float32, (1, 2, LOG2_E, 1.5 * 2**23))
LN2_HIGH_32, LN2_LOW_32 = np.float32(0.693359375), np.float32(-2.12194440e-4)
P32 = tuple(
    map(np.float32, (0.001392617611993558, 0.008363173074513711, 0.041666554662050534, 0.1666657702559799, 0.5))
)


def exp(x: float) -> float:
    """The exponential of x, in the dtype of x. Callable from compiled code only."""
    raise NotImplementedError


def tanh(x: float) -> float:
    """The hyperbolic tangent of x, in the dtype of x. Callable from compiled code only."""
    raise NotImplementedError


@njit(**OPTIONS)
def parts64(x: Any) -> Any:
    """Return exp r − 1 and two factors whose product is 2^k, in float64.

    2^k has two factors because 2^k itself can overflow or be denormal although exp x is a normal number.
    """
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = P64[0] * r + P64[1]
    p = p * r + P64[2]
    p = p * r + P64[3]
    p = p * r + P64[4]
    p = p * r + P64[5]
    p = p * r + P64[6]
    p = p * r + P64[7]
    p = p * r + P64[8]
    p = p * r + P64[9]
    bits = np.float64(shifted).view(np.int64)
    # The shift drops the bits above those of k. 1023 is the exponent bias of float64.
    factor1 = np.int64(((bits >> 1) + 1023) << 52).view(np.float64)
    factor2 = np.int64((bits - (bits >> 1) + 1023) << 52).view(np.float64)
    return p * (r * r) + r, factor1, factor2


@njit(**OPTIONS)
def parts32(x: Any) -> Any:
    """Return exp r − 1 and two factors whose product is 2^k, in float32."""
    shifted = x * LOG2_E_32 + ROUND_32
    k = shifted - ROUND_32
    r = (x - k * LN2_HIGH_32) - k * LN2_LOW_32
    p = (((P32[0] * r + P32[1]) * r + P32[2]) * r + P32[3]) * r + P32[4]
    bits = np.float32(shifted).view(np.int32)
    factor1 = np.int32(((bits >> 1) + 127) << 23).view(np.float32)
    factor2 = np.int32((bits - (bits >> 1) + 127) << 23).view(np.float32)
    return p * (r * r) + r, factor1, factor2


@overload(exp, jit_options=OPTIONS)
def _exp(x: Any) -> Any:
    # Beyond these limits exp x is infinity or 0, and k does not fit the exponent. NaN fails both comparisons, so NaN is
    # not replaced.
    def exp64(x: Any) -> Any:
        x = 710.0 if x > 710.0 else x
        p, factor1, factor2 = parts64(-746.0 if x < -746.0 else x)
        return (p * factor1 + factor1) * factor2

    def exp32(x: Any) -> Any:
        x = np.float32(89) if x > np.float32(89) else x
        p, factor1, factor2 = parts32(np.float32(-104) if x < np.float32(-104) else x)
        return (p * factor1 + factor1) * factor2

    return exp32 if x == types.float32 else exp64


@overload(tanh, jit_options=OPTIONS)
def _tanh(x: Any) -> Any:
    # tanh |x| = −t / (t + 2) with t = exp(−2|x|) − 1, which is accurate for a small x. For |x| of 20 or more (10 or
    # more in float32), tanh |x| rounds to 1.
    def tanh64(x: Any) -> Any:
        p, factor1, factor2 = parts64(-2.0 * (20.0 if abs(x) > 20.0 else abs(x)))
        t = p * (factor1 * factor2) + (factor1 * factor2 - 1.0)
        return math.copysign(-t / (t + 2.0), x)

    def tanh32(x: Any) -> Any:
        p, factor1, factor2 = parts32(-TWO * (np.float32(10) if abs(x) > np.float32(10) else abs(x)))
        t = p * (factor1 * factor2) + (factor1 * factor2 - ONE)
        return np.float32(math.copysign(-t / (t + TWO), x))

    return tanh32 if x == types.float32 else tanh64
