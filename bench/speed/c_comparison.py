"""``numba_simd`` against the same arithmetic in C, in the same blocks: ``forward.c``, looped in C.

It is called through ctypes, REPEATS samples at a time, so that calling weighs nothing; ``numba_simd`` is called from
Python for every sample, as it is anywhere.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import numpy as np

from bench import correctness
from bench.proof.expectation import Expectation
from bench.speed.goals import SAMPLE, SIMD, C
from bench.workload import timed_call
from impls import load
from pairbench import interleave, timer
from pairbench.statistics import log_ratios
from pairbench.worker_protocol import Arm, Effort

SOURCE = Path(__file__).with_name("forward.c")
FLAGS = ("-O3", "-march=native", "-ffast-math")
REPEATS = 1000


class NoCompiler(Exception):
    """C cannot be compiled here; the text says why in one line."""


@dataclass(frozen=True)
class CProcess:
    """One process's seconds for a sample in C, and the logarithms of the ratio numba_simd ÷ C by block."""

    seconds: float
    log_ratios: list[float]


def compiler() -> list[str]:
    """The command of the C compiler: $CC, cc or gcc. Raises NoCompiler."""
    named = shlex.split(os.environ.get("CC", ""))
    commands = [named] if named else [["cc"], ["gcc"]]
    for command in commands:
        if shutil.which(command[0]):
            return command
    raise NoCompiler(f"no C compiler is found as {' or '.join(command[0] for command in commands)}")


def compile_library(folder: Path) -> Path:
    """Compile the source into a library in the folder. Raises NoCompiler."""
    command = compiler()
    compiled, library = folder / "forward.o", folder / "forward.so"
    _run([*command, *FLAGS, "-fPIC", "-c", str(SOURCE), "-o", str(compiled)])
    # Linked without -ffast-math: with it, loading the library would have this process flush small numbers to zero.
    _run([*command, "-shared", str(compiled), "-lm", "-o", str(library)])
    return library


def compare_in_process(library: Path, expectation: Expectation, effort: Effort, seed: int) -> CProcess | str:
    """Check numba_simd and C, time them in blocks, and check them again; or say which is wrong, and how."""
    try:
        return _compared(library, expectation, effort, seed)
    except correctness.CheckFailed as error:
        return str(error)


def _compared(library: Path, expectation: Expectation, effort: Effort, seed: int) -> CProcess:
    backend, problem = load(SIMD), expectation.problem
    model, evidence = correctness.build_verified(backend, SAMPLE, expectation)
    correctness.require(evidence)
    parameters = np.concatenate([part for W, b in problem.parameters for part in (b, W.ravel())])
    x, out = problem.X[0].copy(), np.empty(problem.network.n_out)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, x, out)]
    in_c = partial(ctypes.CDLL(str(library)).repeat, *pointers), ctypes.c_long(REPEATS)

    def check_c() -> None:
        out[:] = np.nan
        in_c[0](in_c[1])
        found = expectation.targets[-1].judge(out)
        correctness.require(replace(found, reason=f"C is wrong: {found.reason}"))

    check_c()
    arms = Arm(SIMD, SIMD, SAMPLE), Arm(C, C, SAMPLE)
    calls = timed_call(SAMPLE, model, problem), in_c
    plans = interleave.plan_arms(arms, calls, [timer.estimate_seconds(*one) for one in calls], effort)
    samples = interleave.time_interleaved(plans, Random(seed))
    correctness.verify_timed_call(backend, SAMPLE, expectation, model, calls[0])
    check_c()
    of_jit, of_c = ({sample.block: sample.seconds for sample in samples[arm]} for arm in arms)
    seconds = {block: duration / REPEATS for block, duration in of_c.items()}
    return CProcess(median(seconds.values()), log_ratios(of_jit, seconds))


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise NoCompiler(f"{command[0]} does not run: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        text = " ".join(str(error.stderr).split()) or f"status {error.returncode}"
        raise NoCompiler(f"{command[0]} cannot compile {SOURCE.name}: {text[:200]}") from None
