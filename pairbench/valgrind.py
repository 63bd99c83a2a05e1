"""Runs Python under Valgrind, whose tool Cachegrind counts the machine instructions of a process exactly."""

from __future__ import annotations

__all__ = ["obstacle"]

import platform
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from pairbench import machine

PINNED: Mapping[str, str] = MappingProxyType(
    {
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": "",  # none but those of the name
        "OPENBLAS_CORETYPE": "Haswell",
    }
)
"""Variables that pin a worker's code to AVX2, the newest instruction set of x86-64 that Valgrind knows.

Other libraries, such as NumPy, ask the processor, and under Valgrind it has nothing newer.
"""
NEEDED = frozenset({"avx2", "fma"})
"""Flags of a processor that runs the pinned code."""


class CountMissing(Exception):
    """Valgrind has written no count; the message explains it in one line."""


def obstacle() -> str:
    """Why machine instructions cannot be counted here, in one line; empty if they can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    flags = ""
    with suppress(OSError):
        flags = machine.CPU_INFO.read_text(encoding="utf-8")
    if platform.machine() != "x86_64" or not set(flags.split()) >= NEEDED:
        return "the processor lacks AVX2, for which the code is compiled that Valgrind runs"
    return ""


def command(folder: Path) -> list[str]:
    """The beginning of a command line that runs a program under Valgrind.

    Every process of the program leaves a file with its count in the folder. Valgrind writes nothing else; it does not
    wait for a debugger, because that would leave pipes behind.
    """
    pattern = str(folder).replace("%", "%%")
    options = ("--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--vgdb=no")
    return ["valgrind", *options, f"--log-file={pattern}/%p"]


def read_count(folder: Path, process: int) -> int:
    """The number of instructions of an ended process, by its id. Raises CountMissing."""
    with suppress(OSError):
        text = (folder / str(process)).read_text(errors="replace")
        if found := re.search(r"\bI +refs: +([\d,]+)$", text, re.MULTILINE):
            return int(found[1].replace(",", ""))
    raise CountMissing("Valgrind has written no count")
