"""Compiler options of the kernels."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

# error_model: division by zero gives infinity, so that no check of the divisor is needed. contract: a product and a sum
# may be fused. reassoc is not allowed: reordering sums would break the rounding to an integer in the exponential.
OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract"}}

# A function that only kernels call needs no wrappers for Python and C, each of which would hold a copy of the function.
INNER: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

jit = njit(**OPTIONS)
jit_inner = njit(**OPTIONS, **INNER)
jit_inlined = njit(inline="always", **OPTIONS, **INNER)
"""Numba copies the function into its caller before LLVM optimizes, so no array is passed to it as an argument.

LLVM compiles any other function once for itself and once more in each kernel that uses it, with all that it calls. So
large functions that only pass blocks on to the loops are inlined, too.
"""
jit_reordered = njit(error_model="numpy", fastmath={"contract", "reassoc"}, **INNER)
"""For sums and dot products, which LLVM vectorizes only if the terms may be added in another order."""


def _wide_vectors(typing: Any) -> Any:
    """Make LLVM compile the calling function to 512-bit vectors, if the processor supports them.

    LLVM prefers 256-bit vectors. The calling function is not inlined, because inlining would drop the attribute.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for attribute in ('"prefer-vector-width"="512"', "noinline"):
            set.add(builder.function.attributes, attribute)  # llvmlite's own ``add`` rejects attributes unknown to it
        return context.get_dummy_value()

    return types.none(), generate


wide_vectors: Any = intrinsic(_wide_vectors)
