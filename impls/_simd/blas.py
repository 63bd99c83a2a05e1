"""Matrix products that are added to the output matrix, by the BLAS that Numba's ``np.dot`` also calls."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from impls._simd.options import OPTIONS

N, T = ord("n"), ord("t")
"""BLAS's codes for a matrix that is stored as it is, or transposed."""

KINDS = {types.float64: ord("d"), types.float32: ord("s")}


def _pointer_to_one(typing: Any, array: Any) -> Any:
    """Return a pointer to a 1 of the array's dtype: BLAS takes its scalar factors by address."""
    kind = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return cgutils.alloca_once_value(builder, context.get_constant(array.dtype, 1))

    return kind(array), generate


pointer_to_one: Any = intrinsic(_pointer_to_one)


def add_product(
    trans_a: int, trans_b: int, m: int, n: int, k: int, a: Any, lda: int, b: Any, ldb: int, c: Any, ldc: int
) -> None:
    """Add the product a b to c, for column-major matrices a (m, k), b (k, n) and c (m, n).

    ``trans_a`` and ``trans_b`` are N or T: whether a and b are stored as they are or transposed. ``lda``, ``ldb`` and
    ``ldc`` are the lengths of the stored columns.
    """
    raise NotImplementedError


@overload(add_product, jit_options=OPTIONS)
def _add_product(
    trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any
) -> Any:
    pointer, size, char = types.CPointer(c.dtype), types.intp, types.char
    # A function of Numba's helper library, declared as in numba.np.linalg. Unlike np.dot, it can add to the output.
    gemm: Any = types.ExternalFunction(
        "numba_xxgemm",
        types.intc(char, char, char, size, size, size, pointer, pointer, size, pointer, size, pointer, pointer, size),
    )
    kind = KINDS[c.dtype]

    def compute(
        trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any
    ) -> None:
        one = pointer_to_one(c)
        gemm(kind, trans_a, trans_b, m, n, k, one, a.ctypes, lda, b.ctypes, ldb, one, c.ctypes, ldc)

    return compute
