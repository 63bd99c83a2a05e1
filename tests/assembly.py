"""Reads the assembly of compiled kernels: do their inner loops keep the sums in registers?"""

import re
from collections.abc import Iterator

import llvmlite.binding as llvm

LABEL = re.compile(r"(\.?L[\w.]+):")
JUMP = re.compile(r"\s+(?:j\w+|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+, #\d+,)\s+(\.?L[\w.]+)")
MULTIPLY = re.compile(r"vfmadd|vmulp|mulp|fmla")
SPILL = re.compile(r"mm\d.*\(%rsp\)|\(%rsp\).*mm\d|\bq\d+.*\[sp")
CALL = re.compile(r"\s+(?:callq?|blr?)\s")


def inner_loops(assembly: str) -> Iterator[list[str]]:
    """The loops that multiply vectors and hold no other loop: from a label to a jump back to it."""
    lines, labels = assembly.splitlines(), {}
    for number, line in enumerate(lines):
        if label := LABEL.match(line):
            labels[label[1]] = number
        jump = JUMP.match(line)
        body = lines[labels[jump[1]] + 1 : number] if jump and jump[1] in labels else []
        if sum(map(bool, map(MULTIPLY.search, body))) >= 4 and not any(map(LABEL.match, body)):
            yield body


def faults(assembly: str) -> list[str]:
    """The lines of inner loops that keep a vector on the stack, or call a function. Raises ValueError without loops."""
    loops = list(inner_loops(assembly))
    if not loops:
        raise ValueError("the code has no loop that multiplies vectors")
    return [line.strip() for body in loops for line in body if SPILL.search(line) or CALL.match(line)]


def aarch64(code: str) -> str:
    """LLVM's code for AArch64 of a module; ``code`` was not optimized, for that would have chosen x86 instructions."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    triple = "aarch64-unknown-linux-gnu"
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu="neoverse-n1", opt=3)
    for pattern, value in (
        (r'target triple = ".*"', f'target triple = "{triple}"'),
        (r'target datalayout = ".*"', f'target datalayout = "{machine.target_data}"'),
        (r'"target-(cpu|features)"="[^"]*"', ""),
    ):
        code = re.sub(pattern, value, code)
    module = llvm.parse_assembly(code)
    builder = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=3))
    builder.getModulePassManager().run(module, builder)
    return str(machine.emit_assembly(module))
