"""How the kernels are compiled."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

# Division by zero gives infinity instead of an exception to be checked for; products and sums may be fused. Sums may
# not be reordered: that would destroy the rounding to an integer in the exponential.
OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract"}}

# Only what Python calls needs a wrapper that Python can call, with a copy of the function in it.
INNER: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

jit = njit(**OPTIONS)
jit_inner = njit(**OPTIONS, **INNER)
jit_inlined = njit(inline="always", **OPTIONS, **INNER)
"""Put into its caller by Numba itself: compiled once less, and where LLVM would not, an array is not handed over."""
jit_reordered = njit(error_model="numpy", fastmath={"contract", "reassoc"}, **INNER)
"""For plain sums and dot products, which are vectorized only if their terms may be added in another order."""


def _wide_vectors(typing: Any) -> Any:
    """Have the function that calls this compiled to vectors of 512 bits, where the processor has them.

    LLVM prefers 256. The function is kept from being inlined, for the attribute is lost where it is.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for attribute in ('"prefer-vector-width"="512"', "noinline"):
            set.add(builder.function.attributes, attribute)  # llvmlite's own add knows fewer attributes than LLVM
        return context.get_dummy_value()

    return types.none(), generate


wide_vectors: Any = intrinsic(_wide_vectors)
