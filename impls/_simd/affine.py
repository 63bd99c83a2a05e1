"""One layer for one sample, a W + b, with the sums in registers.

The compiler would keep the sums in memory, because it cannot know that z overlaps neither the weights nor a. So this
module generates the LLVM vector instructions itself: up to MOST vectors of sums, in one pass over the rows of W.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from impls._simd.target import UNIT, multiply_add

BYTES = 64
"""Rows of weights are padded to a multiple of this size, which is that of a cache line and of the largest vector."""

MOST = UNIT.registers // 2
"""Largest number of vectors of sums at a time. The other registers hold the input and the weights."""

BUSY = 8
"""Number of independent vectors of sums that hides the latency of the multiply-add instruction.

A layer with fewer vectors keeps several partial sums, for interleaved rows of W, and adds them at the end.
"""


def in_every_lane(builder: ir.IRBuilder, value: Any, lanes: int) -> Any:
    """Return a vector that has ``value`` in every lane."""
    first = builder.insert_element(
        ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(ir.IntType(32), lanes), None))


def _affine_in_registers(typing: Any, P: Any, p: Any, a: Any, z: Any, width: Any) -> Any:
    """Write a W + b into z (m,), for a (n,) with any stride; b and then W, row by row, begin at P[p].

    m must fill at least BYTES. Every row takes ``width`` elements, padded to a multiple of BYTES or more. The last
    vectors also overwrite the memory that follows z, up to the next multiple of BYTES.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        packed, inputs, sums = (
            context.make_array(signature.args[i])(context, builder, arguments[i]) for i in (0, 2, 3)
        )
        real, intp = context.get_value_type(signature.args[0].dtype), context.get_value_type(types.intp)
        align = context.get_abi_sizeof(real)
        lanes, padded = UNIT.bytes // align, BYTES // align
        (n,), (m,) = (cgutils.unpack_tuple(builder, array.shape) for array in (inputs, sums))
        (stride,) = cgutils.unpack_tuple(builder, inputs.strides)
        bias = builder.gep(packed.data, [arguments[1]])
        width, filled = arguments[4], builder.and_(builder.add(m, intp(padded - 1)), intp(-padded))
        weights = builder.gep(bias, [width])
        vector = ir.VectorType(real, lanes)
        accumulate = multiply_add(builder, vector)

        def at(pointer: Any, offset: Any) -> Any:
            return builder.bitcast(builder.gep(pointer, [offset]), vector.as_pointer())

        def input_at(i: Any) -> Any:
            """Return a vector that has a[i] in every lane."""
            address = builder.add(builder.ptrtoint(inputs.data, intp), builder.mul(i, stride))
            value = builder.load(builder.inttoptr(address, real.as_pointer()), align=align)
            return in_every_lane(builder, value, lanes)

        def columns(offsets: list[Any]) -> None:
            """Compute one vector of sums from each of these columns on."""
            totals = [
                [cgutils.alloca_once(builder, vector) for _ in offsets] for _ in range(max(1, BUSY // len(offsets)))
            ]
            for stream, partial_sums in enumerate(totals):
                for total, offset in zip(partial_sums, offsets, strict=True):
                    start = builder.load(at(bias, offset), align=align) if stream == 0 else ir.Constant(vector, None)
                    builder.store(start, total)

            def add_row(i: Any, partial_sums: list[Any]) -> None:
                row, x = builder.gep(weights, [builder.mul(i, width)]), input_at(i)
                for total, offset in zip(partial_sums, offsets, strict=True):
                    w = builder.load(at(row, offset), align=align)
                    builder.store(builder.call(accumulate, [x, w, builder.load(total)]), total)

            streams = intp(len(totals))
            whole = builder.sdiv(n, streams)
            with cgutils.for_range(builder, whole) as loop:
                for stream, partial_sums in enumerate(totals):
                    add_row(builder.add(builder.mul(loop.index, streams), intp(stream)), partial_sums)
            with cgutils.for_range(builder, n, start=builder.mul(whole, streams)) as loop:
                add_row(loop.index, totals[0])
            for k, offset in enumerate(offsets):
                sum_of_streams = builder.load(totals[0][k])
                for partial_sums in totals[1:]:
                    sum_of_streams = builder.fadd(sum_of_streams, builder.load(partial_sums[k]))
                builder.store(sum_of_streams, at(sums.data, offset), align=align)

        def vector_offsets(j: Any, vectors: int) -> list[Any]:
            return [builder.add(j, intp(k * lanes)) for k in range(vectors)]

        group = intp(MOST * lanes)
        with cgutils.for_range(builder, builder.sdiv(filled, group)) as loop:
            columns(vector_offsets(builder.mul(loop.index, group), MOST))
        rest = builder.srem(filled, group)
        begin = builder.sub(filled, rest)
        end = builder.append_basic_block("end")
        switch = builder.switch(builder.sdiv(rest, intp(lanes)), end)
        for count in range(1, MOST):
            block = builder.append_basic_block(f"rest.{count}")
            switch.add_case(intp(count), block)
            builder.position_at_end(block)
            columns(vector_offsets(begin, count))
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.none(P, p, a, z, types.intp), generate


affine_in_registers: Any = intrinsic(_affine_in_registers)
