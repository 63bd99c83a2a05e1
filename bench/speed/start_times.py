"""Times a fresh process until its first result of ``numba_simd``, with and without compiled code in the cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile

from bench.case_measurement import CACHE_VARIABLES
from bench.records.speed_schema import StartRecord
from bench.speed.goals import SIMD
from pairbench import environment, threads
from pairbench.worker_processes import ROOT

PROGRAM = f"""
import time
begun = time.perf_counter()
import impls
network = impls.Network((3, 3, 1))
impls.load("{SIMD}").build(network, network.random_parameters(), "{{dtype}}").forward([1.0, 2.0, 3.0])
print(time.perf_counter() - begun)
"""


def measure_start(dtype: str, times: int) -> StartRecord:
    """Start a process with an empty cache, and then ``times`` processes with compiled code in the cache.

    The seconds include all imports, but not the start of the Python interpreter.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold = _seconds(dtype, folder)
        warm = [_seconds(dtype, folder) for _ in range(times)]
    return StartRecord(dtype=dtype, cold_seconds=cold, warm_seconds=warm)


def _seconds(dtype: str, cache: str) -> float:
    variables = {**dict.fromkeys(CACHE_VARIABLES, cache), "PYTHONPATH": str(ROOT)}
    merged = {**threads.thread_environment(environment.inherited()), **variables}
    command = [sys.executable, "-P", "-c", PROGRAM.format(dtype=dtype)]
    return float(subprocess.run(command, env=merged, check=True, stdout=subprocess.PIPE, text=True).stdout)
