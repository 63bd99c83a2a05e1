"""Measures the parts of ``mlpbench speed``: the roofline, the times, the comparison with C, and start times."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

import impls
from bench import selection
from bench.arms import arms_of_case
from bench.case_measurement import measure_cases
from bench.checkpoint import source_digest
from bench.proof.verify import expect_case
from bench.records.roofline_rows import limits_of_rows, roofline_rows
from bench.records.speed_schema import CComparisonRecord, SpeedState, StartRecord
from bench.records.timing_rows import process_records, timing_rows
from bench.roofline import probes
from bench.roofline.lower_bound import MachineLimits
from bench.speed import c_comparison, start_times
from bench.speed.goals import GROUPS, PLAIN, SAMPLE, SIMD, VECTORIZED
from impls import Backend
from pairbench import machine
from pairbench.progress import Progress
from pairbench.worker_calls import call_in_worker
from pairbench.worker_protocol import Effort

WARM_STARTS = 7


def speed_settings(peers: Sequence[Backend], effort: Effort) -> dict[str, Any]:
    """Return the settings that a resumed run must share with the interrupted run, as a JSON object."""
    backends = [impls.load(SIMD), *compared_backends(peers)]
    return {
        "machine": machine.describe(),
        "sources": source_digest(backends),
        "backends": [backend.name for backend in backends],
        "effort": asdict(effort),
    }


def compared_backends(peers: Sequence[Backend]) -> list[Backend]:
    """Return the backends that are compared with ``numba_simd``; a peer with its own kernels is no comparison."""
    simd = impls.load(SIMD).model
    others = [peer for peer in peers if not issubclass(peer.model, simd)]
    return [impls.load(PLAIN), impls.load(VECTORIZED), *others]


def measure_speed(
    state: SpeedState,
    peers: Sequence[Backend],
    effort: Effort,
    progress: Progress,
    save: Callable[[SpeedState], None],
) -> SpeedState:
    """Measure the parts that are missing in the state. ``save`` receives the state after each part.

    Raises WorkerRefused if no worker can run.
    """
    if state.roofline is None:
        state = state.model_copy(update={"roofline": roofline_rows(_measure_limits(progress))})
        save(state)
    if state.rows is None:
        backends = compared_backends(peers)
        groups = [arms_of_case(case, impls.load(SIMD), backends, dtypes) for case, dtypes in GROUPS.items()]
        measurement = measure_cases(groups, effort, state.seed, progress)
        order = selection.in_order([SIMD, *(backend.name for backend in backends)])
        limits = limits_of_rows(state.roofline or [])
        rows, processes = timing_rows(measurement, order, limits), process_records(measurement)
        state = state.model_copy(update={"rows": rows, "processes": processes})
        save(state)
    if state.c is None:
        state = state.model_copy(update={"c": _compare_with_c(effort, state.seed, progress)})
        save(state)
    if state.starts is None:
        state = state.model_copy(update={"starts": _measure_starts(progress)})
        save(state)
    return state


def _measure_limits(progress: Progress) -> MachineLimits:
    """Measure the limits of the roofline for all cases and all dtypes."""
    cases = [replace(case, dtype=dtype) for case, dtypes in GROUPS.items() for dtype in (case.dtype, *dtypes)]
    return probes.measure_limits(list(dict.fromkeys(cases)), progress)


def _compare_with_c(effort: Effort, seed: int, progress: Progress) -> CComparisonRecord:
    """Time ``numba_simd`` against C, in as many processes as the other comparisons."""
    progress.start(effort.processes)
    expectation = expect_case(SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        try:
            library = c_comparison.compile_library(Path(folder))
        except c_comparison.NoCompiler as error:
            return CComparisonRecord(processes=[], reason=str(error))
        processes = []
        for number, process_seed in enumerate(Random(seed).sample(range(2**32), effort.processes)):
            progress.stage(f"{SIMD} and C, process {number + 1} of {effort.processes}")
            compared = call_in_worker(c_comparison.compare_in_process, library, expectation, effort, process_seed)
            if isinstance(compared, str):
                return CComparisonRecord(processes=[], reason=compared)
            processes.append(compared)
            progress.advance()
    return CComparisonRecord(processes=processes, reason="")


def _measure_starts(progress: Progress) -> list[StartRecord]:
    """Measure the start times of fresh processes in each dtype."""
    dtypes = impls.load(SIMD).dtypes
    progress.start(len(dtypes))
    starts = []
    for dtype in dtypes:
        progress.stage(f"starting {SIMD} in {dtype}, first compiled anew and then from the cache")
        starts.append(start_times.measure_start(dtype, WARM_STARTS))
        progress.advance()
    return starts
