"""Parts of arrays without reference counting, which takes an atomic instruction of 5 ns for each change of a count.

The compiler removes the counting only if it sees the whole lifetime of an array. For slices, the counting took half the
time of an update of 2-3-1. A part does not keep its array alive, so the caller must keep a reference to the array for
as long as the part is in use.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array


def _part(typing: Any, array: Any, start: Any, shape: Any) -> Any:
    """View ``shape``, a length or (rows, columns), of a C-contiguous array, from the flat index ``start`` on."""
    lengths = shape if isinstance(shape, types.BaseTuple) else [shape]
    result = types.Array(array.dtype, len(lengths), "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(array)(context, builder, arguments[0])
        part = context.make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_value_type(array.dtype)))
        extent = cgutils.unpack_tuple(builder, arguments[2]) if len(lengths) > 1 else [arguments[2]]
        populate_array(
            part,
            data=builder.gep(whole.data, [arguments[1]]),
            shape=extent,
            strides=[*(builder.mul(n, itemsize) for n in extent[1:]), itemsize],
            itemsize=itemsize,
            meminfo=None,
        )
        return part._getvalue()

    extents = types.UniTuple(types.intp, len(lengths)) if len(lengths) > 1 else types.intp
    return result(array, types.intp, extents), generate


part: Any = intrinsic(_part)


def _row(typing: Any, matrix: Any, i: Any) -> Any:
    """View row i of a C-contiguous matrix. Not compiled from Python, which would take longer for each use."""
    result = types.Array(matrix.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole = context.make_array(matrix)(context, builder, arguments[0])
        part = context.make_array(result)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_value_type(matrix.dtype)))
        columns = cgutils.unpack_tuple(builder, whole.shape)[1]
        populate_array(
            part,
            data=builder.gep(whole.data, [builder.mul(arguments[1], columns)]),
            shape=[columns],
            strides=[itemsize],
            itemsize=itemsize,
            meminfo=None,
        )
        return part._getvalue()

    return result(matrix, types.intp), generate


row: Any = intrinsic(_row)
