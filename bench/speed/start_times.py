"""Times a fresh process until its first results of ``numba_simd``, with and without compiled code in the cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from bench.case_measurement import CACHE_VARIABLES
from bench.records.speed_schema import StartRecord
from bench.speed.goals import SIMD
from pairbench import environment, threads

ROOT = Path(__file__).parents[2]

PROGRAM = f"""
import time
begun = time.perf_counter()
import impls
network = impls.Network((3, 3, 1))
model = impls.load("{SIMD}").build(network, network.random_parameters(), "{{dtype}}")
model.forward([1.0, 2.0, 3.0])
print(time.perf_counter() - begun)
X, Y = [[1.0, 2.0, 3.0]] * 2, [[0.5]] * 2
model.forward(X)
model.loss(X, Y)
for batches in (1, 2):
    model.train(X, Y, epochs=1, learning_rate=0.1, batches=batches)
print(time.perf_counter() - begun)
"""


def measure_start(dtype: str, times: int) -> StartRecord:
    """Start a process with an empty cache, and then ``times`` processes with compiled code in the cache.

    The seconds include all imports, but not the start of the Python interpreter.
    """
    with tempfile.TemporaryDirectory() as folder:
        forward, everything = _seconds(dtype, folder)
        warm = [_seconds(dtype, folder)[0] for _ in range(times)]
    return StartRecord(dtype=dtype, cold_seconds=everything, cold_forward_seconds=forward, warm_seconds=warm)


def _seconds(dtype: str, cache: str) -> list[float]:
    """Seconds until the outputs of one sample, and until the results of all operations."""
    variables = {**dict.fromkeys(CACHE_VARIABLES, cache), "PYTHONPATH": str(ROOT)}
    merged = {**threads.thread_environment(environment.inherited()), **variables}
    command = [sys.executable, "-P", "-c", PROGRAM.format(dtype=dtype)]
    done = subprocess.run(command, env=merged, check=True, stdout=subprocess.PIPE, text=True)
    return [float(line) for line in done.stdout.split()]
