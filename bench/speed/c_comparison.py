"""Times ``numba_simd`` against the same arithmetic in C, ``forward.c``, in the same blocks.

A call through ctypes computes REPEATS samples in a loop in C, so the cost of the ctypes call is negligible.
``numba_simd`` is called from Python for every sample, as users call it.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

import numpy as np

from bench.arms import Arm
from bench.correctness import CaseJudge, CaseWorkload
from bench.proof.expectation import Expectation
from bench.records.speed_schema import CProcessRecord
from bench.speed.goals import SAMPLE, SIMD, C
from pairbench import interleave, timer
from pairbench.statistics import log_ratios
from pairbench.worker_protocol import Effort
from pairbench.workload import CheckFailed, TimedCall, require

SOURCE = Path(__file__).with_name("forward.c")
FLAGS = ("-O3", "-ffast-math")
NATIVE = ("-march=native", "-mcpu=native")
"""Options that compile for this processor. Clang on AArch64 knew only the second before its version 16."""
REPEATS = 1000


class NoCompiler(Exception):
    """C code cannot be compiled on this machine; the text gives the reason in one line."""


def compiler() -> list[str]:
    """Return the command of the C compiler: $CC, else cc or gcc. Raises NoCompiler if there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    commands = [named] if named else [["cc"], ["gcc"]]
    for command in commands:
        if shutil.which(command[0]):
            return command
    raise NoCompiler(f"no C compiler found as {' or '.join(command[0] for command in commands)}")


def compile_library(folder: Path) -> Path:
    """Compile ``forward.c`` into a shared library in the folder. Raises NoCompiler."""
    command = compiler()
    compiled, library = folder / "forward.o", folder / "forward.so"
    compile_source = [*command, *FLAGS, "-fPIC", "-c", str(SOURCE), "-o", str(compiled)]
    try:
        _run([*compile_source, NATIVE[0]])
    except NoCompiler as error:
        try:
            _run([*compile_source, NATIVE[1]])
        except NoCompiler:
            raise error from None
    # Link without -ffast-math, which would make the process flush subnormal numbers to zero on loading the library.
    _run([*command, "-shared", str(compiled), "-lm", "-o", str(library)])
    return library


def compare_in_process(library: Path, expectation: Expectation, effort: Effort, seed: int) -> CProcessRecord | str:
    """Check ``numba_simd`` and C, time both in blocks, and check both again.

    Returns the reason in one line if a result is wrong.
    """
    try:
        return _compare(library, expectation, effort, seed)
    except CheckFailed as error:
        return str(error)


def _compare(library: Path, expectation: Expectation, effort: Effort, seed: int) -> CProcessRecord:
    workload, judge = CaseWorkload.of(SIMD, SAMPLE, expectation), CaseJudge(SAMPLE, expectation)
    simd_call, results = workload.build_and_compute()
    require(judge.judge_results(results))
    problem = expectation.problem
    parameters = np.concatenate([part for W, b in problem.parameters for part in (b, W.ravel())])
    x, out = problem.X[0].copy(), np.empty(problem.network.n_out)
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (parameters, x, out)]
    repeat, times = partial(ctypes.CDLL(str(library)).repeat, *pointers), ctypes.c_long(REPEATS)

    c_call = TimedCall(repeat, lambda seed, count: [(times,)] * count)

    def check_c() -> None:
        out[:] = np.nan
        repeat(times)
        evidence = expectation.targets[-1].judge(out)
        require(replace(evidence, reason=f"C is wrong: {evidence.reason}"))

    check_c()
    calls: dict[Arm, TimedCall] = {Arm(SIMD, SIMD, SAMPLE): simd_call, Arm(C, C, SAMPLE): c_call}
    estimates = {arm: timer.estimate_seconds(call.function, partial(call.draw, 0)) for arm, call in calls.items()}
    timed = interleave.time_interleaved(interleave.plan_arms(calls, estimates, effort), Random(seed))
    for record in timed[Arm(SIMD, SIMD, SAMPLE)].records:
        require(judge.judge_sample(record))
    check_c()
    simd_seconds, c_seconds = ({sample.block: sample.seconds for sample in timed[arm].samples} for arm in calls)
    seconds = {block: duration / REPEATS for block, duration in c_seconds.items()}
    return CProcessRecord(seconds=median(seconds.values()), log_ratios=log_ratios(simd_seconds, seconds))


def _run(command: Sequence[str]) -> None:
    """Run the compiler. Raises NoCompiler if it fails."""
    try:
        subprocess.run(command, capture_output=True, text=True, check=True)
    except OSError as error:
        raise NoCompiler(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.CalledProcessError as error:
        text = " ".join(str(error.stderr).split()) or f"status {error.returncode}"
        raise NoCompiler(f"{command[0]} cannot compile {SOURCE.name}: {text[:200]}") from None
