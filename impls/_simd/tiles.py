"""One layer for a block of samples, A W + b, in tiles whose sums stay in registers.

BLAS copies its operands in every call, into the order in which BLAS reads them. Here, a few rows of weights stay in the
L1 cache while all samples of a block are computed, so nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from impls._backend import Array
from impls._simd.affine import in_every_lane
from impls._simd.options import jit_inner
from impls._simd.parts import part
from impls._simd.target import UNIT, VectorUnit, multiply_add


def tile_shape(unit: VectorUnit) -> tuple[int, int]:
    """The samples and the vectors of a tile, whose sums stay in registers.

    The other registers hold a row of weights, an input, and a product where it is not fused with the sum.
    """
    columns = 3 if unit.registers >= 32 else 2
    others = columns + (1 if unit.fused else 2)
    return min(8, (unit.registers - others) // columns), columns


ROWS, COLUMNS = tile_shape(UNIT)

DEPTH = 24 * 1024 // (COLUMNS * UNIT.bytes)
"""Rows of weights that a tile reads: so many stay in the L1 cache while all samples of a block are computed."""

FEW, REACH, STREAMS = 16, 2**23, 16
"""A layer of more than REACH bytes reads STREAMS rows of weights at a time for up to FEW samples.

Its weights come from memory, which is read fastest row by row, and their addresses do not fit the cache of addresses.
"""


def _tile(
    typing: Any,
    start: Any,
    W: Any,
    A: Any,
    Z: Any,
    rows: Any,
    columns: Any,
    depth: Any,
    step: Any,
    n: Any,
    stride: Any,
    width: Any,
    m: Any,
) -> Any:
    """Write the sum of ``start`` and one tile of A W, up to ROWS samples and COLUMNS vectors, into Z.

    Each array begins at the tile's first element. ``rows`` is the number of samples, ``columns`` the number of nodes of
    the tile, ``depth`` the number of rows of W. The distance between rows is ``step`` in ``start``, n in A, ``width``
    in W and m in Z; the elements of a row of A are ``stride`` apart. The last vector of W may be read beyond the row,
    so memory must follow W; what comes of it is not stored.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        starts, weights, inputs, outputs = (
            context.make_array(signature.args[i])(context, builder, arguments[i]).data for i in range(4)
        )
        rows, columns, depth, step, n, stride, width, m = arguments[4:]
        real, intp = context.get_value_type(signature.args[0].dtype), context.get_value_type(types.intp)
        align = context.get_abi_sizeof(real)
        lanes = UNIT.bytes // align
        int32 = ir.IntType(32)
        vector, mask = ir.VectorType(real, lanes), ir.VectorType(ir.IntType(1), lanes)
        accumulate, name = multiply_add(builder, vector), f"v{lanes}f{align * 8}.p0"
        load_type = ir.FunctionType(vector, [vector.as_pointer(), int32, mask, vector])
        masked_load = cgutils.get_or_insert_function(builder.module, load_type, f"llvm.masked.load.{name}")
        store_type = ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), int32, mask])
        masked_store = cgutils.get_or_insert_function(builder.module, store_type, f"llvm.masked.store.{name}")

        def compute(most: int, count: int) -> None:
            """Compute the tile for up to ``most`` samples and ``count`` vectors; the last may be partly filled."""
            lanes_of_last = builder.trunc(builder.sub(columns, intp((count - 1) * lanes)), int32)
            numbers = ir.Constant(ir.VectorType(int32, lanes), list(range(lanes)))
            last_mask = builder.icmp_signed("<", numbers, in_every_lane(builder, lanes_of_last, lanes))
            is_filled = builder.icmp_signed("==", lanes_of_last, int32(lanes))

            def at(pointer: Any, k: int) -> Any:
                return builder.bitcast(builder.gep(pointer, [intp(k * lanes)]), vector.as_pointer())

            def with_masks(transfer: Callable[[list[Any]], None]) -> None:
                """Generate ``transfer`` with masks, which are slow, only for a last vector that is not filled."""
                whole = [ir.Constant(mask, [1] * lanes)] * count
                with builder.if_else(is_filled) as (filled, otherwise):
                    with filled:
                        transfer(whole)
                    with otherwise:
                        transfer([*whole[1:], last_mask])

            last = builder.sub(rows, intp(1))  # with fewer samples, the last one is computed several times
            row_indices = [builder.select(builder.icmp_signed("<", intp(r), last), intp(r), last) for r in range(most)]
            samples = [builder.gep(inputs, [builder.mul(row_index, n)]) for row_index in row_indices]
            totals = [[cgutils.alloca_once(builder, vector) for _ in range(count)] for _ in range(most)]

            def load_sums(masks: list[Any]) -> None:
                zero = ir.Constant(vector, [0.0] * lanes)
                for row_index, sums in zip(row_indices, totals, strict=True):
                    pointer = builder.gep(starts, [builder.mul(row_index, step)])
                    for k, total in enumerate(sums):
                        builder.store(builder.call(masked_load, [at(pointer, k), int32(align), masks[k], zero]), total)

            def store_sums(masks: list[Any]) -> None:
                for row_index, sums in zip(row_indices, totals, strict=True):
                    pointer = builder.gep(outputs, [builder.mul(row_index, m)])
                    for k, total in enumerate(sums):
                        builder.call(masked_store, [builder.load(total), at(pointer, k), int32(align), masks[k]])

            with_masks(load_sums)
            with cgutils.for_range(builder, depth) as loop:
                first = builder.gep(weights, [builder.mul(loop.index, width)])
                row = [builder.load(at(first, k), align=align) for k in range(count)]
                element = builder.mul(loop.index, stride)
                for sample, sums in zip(samples, totals, strict=True):
                    x = in_every_lane(builder, builder.load(builder.gep(sample, [element]), align=align), lanes)
                    for w, total in zip(row, sums, strict=True):
                        builder.store(builder.call(accumulate, [x, w, builder.load(total)]), total)
            with_masks(store_sums)

        end = builder.append_basic_block("end")
        vectors = builder.sdiv(builder.add(columns, intp(lanes - 1)), intp(lanes))
        is_half = builder.zext(builder.icmp_signed("<=", rows, intp(ROWS // 2)), intp)
        switch = builder.switch(builder.add(vectors, builder.mul(is_half, intp(COLUMNS))), end)
        for half, count in product(range(2), range(1, COLUMNS + 1)):
            block = builder.append_basic_block(f"vectors.{count}")
            switch.add_case(intp(half * COLUMNS + count), block)
            builder.position_at_end(block)
            compute(ROWS // (half + 1), count)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.none(start, W, A, Z, *[types.intp] * 8), generate


tile: Any = intrinsic(_tile)


@jit_inner
def affine_in_tiles(b: Array, W: Array, A: Array, Z: Array) -> None:
    """Write A W + b into Z (samples, m), for A (samples, n) and W (n, m or more)."""
    (samples, n), m, width = A.shape, len(b), W.shape[1]
    most = COLUMNS * UNIT.bytes // b.itemsize
    deepest = STREAMS if W.size * W.itemsize > REACH and samples <= FEW else DEPTH
    for i in range(0, n, deepest):
        depth = min(deepest, n - i)
        for j in range(0, m, most):
            columns = min(most, m - j)
            for s in range(0, samples, ROWS):
                rows, a, z = min(ROWS, samples - s), part(A, s * n + i, depth), part(Z, s * m + j, columns)
                start, step = (part(b, j, columns), 0) if i == 0 else (z, m)
                tile(start, part(W, i * width + j, columns), a, z, rows, columns, depth, step, n, 1, width, m)


@jit_inner
def outer_in_tiles(A: Array, D: Array, dW: Array, kept: int) -> None:
    """Write Aᵀ D into dW, or add it if ``kept`` is 1, for A (samples, n) and D (samples, m).

    dW is the flattened rows of an (n, m) matrix. A vector may be read beyond the end of D.
    """
    (samples, n), m = A.shape, D.shape[1]
    most = COLUMNS * UNIT.bytes // D.itemsize
    if not kept:
        for i in range(n * m):
            dW[i] = 0
    for s in range(0, samples, DEPTH):
        depth = min(DEPTH, samples - s)
        for j in range(0, m, most):
            columns = min(most, m - j)
            for i in range(0, n, ROWS):
                rows, a, sums = min(ROWS, n - i), part(A, s * n + i, depth), part(dW, i * m + j, columns)
                tile(sums, part(D, s * m + j, columns), a, sums, rows, columns, depth, m, 1, n, m, m)
