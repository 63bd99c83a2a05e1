"""The vector unit that Numba compiles for, as LLVM's code for a multiply-add shows it.

Numba's settings can name another processor than the one that runs, so the processor itself is not asked.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

PROBE_BYTES = 64
"""Size of the vectors in the probe: the largest that a processor has."""


class VectorUnit(NamedTuple):
    """Size of a vector in bytes, number of vector registers, and whether a product and a sum are one instruction."""

    bytes: int
    registers: int
    fused: bool


def multiply_add(builder: ir.IRBuilder, vector: Any) -> Any:
    """LLVM's function for a product and a sum of three vectors of this type.

    It is one fused instruction where the target has one. LLVM's function that is always fused would be a call for each
    element elsewhere.
    """
    name = f"llvm.fmuladd.v{vector.count}f{64 if isinstance(vector.element, ir.DoubleType) else 32}"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)


def read_vector_unit(assembly: str) -> VectorUnit:
    """The vector unit that the code of a multiply-add of ``PROBE_BYTES`` uses."""
    fused = re.search(r"\bv?fml?add\w*|\bfmla\b", assembly) is not None
    for pattern, size, registers in ((r"%zmm", 64, 32), (r"%ymm", 32, 16), (r"%xmm", 16, 16)):
        if re.search(pattern, assembly):
            return VectorUnit(size, registers, fused)
    return VectorUnit(16, 32, fused)  # AArch64


def probe_module() -> ir.Module:
    """A function that computes a multiply-add of ``PROBE_BYTES``."""
    vector = ir.VectorType(ir.DoubleType(), PROBE_BYTES // 8)
    module = ir.Module("probe")
    function = ir.Function(module, ir.FunctionType(vector, [vector] * 3), "probe")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(builder.call(multiply_add(builder, vector), function.args))
    return module


@global_compiler_lock
def _probe_assembly() -> str:
    library = cpu_target.target_context.codegen().create_library("probe")
    library.add_ir_module(probe_module())
    library.finalize()
    return str(library.get_asm_str())


UNIT = read_vector_unit(_probe_assembly())
"""The vector unit of Numba's target."""
