"""Matrix products, by the BLAS that Numba's ``np.dot`` also calls."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from impls._simd.options import OPTIONS

N, T = ord("n"), ord("t")
"""BLAS's codes for a matrix that is stored as it is, or transposed."""

KINDS = {types.float64: ord("d"), types.float32: ord("s")}


def _pointer_to(typing: Any, array: Any, number: Any) -> Any:
    """Return a pointer to a number of the array's dtype: BLAS takes its scalar factors by address."""
    kind = types.CPointer(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return cgutils.alloca_once_value(builder, context.cast(builder, arguments[1], types.intp, array.dtype))

    return kind(array, types.intp), generate


pointer_to: Any = intrinsic(_pointer_to)


def product(
    trans_a: int, trans_b: int, m: int, n: int, k: int, a: Any, lda: int, b: Any, ldb: int, c: Any, ldc: int, kept: int
) -> None:
    """Write the product a b into c, or add it if ``kept`` is 1, for column-major a (m, k), b (k, n) and c (m, n).

    ``trans_a`` and ``trans_b`` are N or T: whether a and b are stored as they are or transposed. ``lda``, ``ldb`` and
    ``ldc`` are the lengths of the stored columns. If ``kept`` is 0, c is not read.
    """
    raise NotImplementedError


@overload(product, jit_options=OPTIONS)
def _product(
    trans_a: Any, trans_b: Any, m: Any, n: Any, k: Any, a: Any, lda: Any, b: Any, ldb: Any, c: Any, ldc: Any, kept: Any
) -> Any:
    pointer, size, char = types.CPointer(c.dtype), types.intp, types.char
    # A function of Numba's helper library, declared as in numba.np.linalg. Unlike np.dot, it can add to the output.
    gemm: Any = types.ExternalFunction(
        "numba_xxgemm",
        types.intc(char, char, char, size, size, size, pointer, pointer, size, pointer, size, pointer, pointer, size),
    )
    kind = KINDS[c.dtype]

    def compute(
        trans_a: Any,
        trans_b: Any,
        m: Any,
        n: Any,
        k: Any,
        a: Any,
        lda: Any,
        b: Any,
        ldb: Any,
        c: Any,
        ldc: Any,
        kept: Any,
    ) -> None:
        one, factor = pointer_to(c, 1), pointer_to(c, kept)
        gemm(kind, trans_a, trans_b, m, n, k, one, a.ctypes, lda, b.ctypes, ldb, factor, c.ctypes, ldc)

    return compute
