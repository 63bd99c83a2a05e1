"""What the workers of a cluster do: compute exact results, and time in fresh processes of their own machine."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock

from bench.arms import Arm
from bench.case_measurement import CompileTime, compile_time, time_cases
from bench.cases import Case
from bench.proof.expectation import Expectation
from bench.proof.verify import expect_case
from bench.records.schema import ProcessRecord, TimingRow
from bench.records.timing_rows import process_records, timing_rows
from pairbench.lock import machine_lock
from pairbench.progress import NoProgress
from pairbench.worker_protocol import Effort

LOCK_SECONDS = 300.0
"""Longest time for which a task waits for the lock of its machine; a gate takes at most 240 s by default."""

_one_at_a_time = Lock()
"""A worker may have several threads; mpmath's precision, and what a backend's import watches, are of the process."""


@dataclass(frozen=True)
class TimedPart:
    """The rows and the processes of a group of arms, or the compile time of a backend.

    ``begin`` and ``end`` are the times of the worker's clock between which it measured. ``disturbances`` say
    what else was executed on the machine meanwhile, in one line each.
    """

    begin: float
    end: float
    disturbances: tuple[str, ...] = ()
    rows: tuple[TimingRow, ...] = ()
    processes: tuple[ProcessRecord, ...] = ()
    compile: CompileTime | None = None


def exact_result(case: Case) -> Expectation:
    """The exact result of a case. Raises UnfitInputs."""
    with _one_at_a_time:
        return expect_case(case)


def time_group(
    group: tuple[Arm, ...],
    expectations: Mapping[Case, Expectation],
    effort: Effort,
    seed: int,
    order: Sequence[str],
    patience: float,
) -> TimedPart:
    """Time a group of arms while this machine's lock is held, for which the task waits ``patience`` seconds.

    Raises WorkerRefused.
    """
    waits: list[str] = []
    with _one_at_a_time, machine_lock(waits.append, patience) as held:
        begin = time.time()
        measurement = time_cases([group], expectations, effort, seed, NoProgress())
        end = time.time()
    rows, processes = timing_rows(measurement, order), process_records(measurement)
    return TimedPart(begin, end, _held(held, waits), tuple(rows), tuple(processes))


def time_compiling(backend: str, cases: Sequence[Case], patience: float) -> TimedPart:
    """Measure the compile time of a backend while this machine's lock is held, as ``time_group`` does."""
    waits: list[str] = []
    with _one_at_a_time, machine_lock(waits.append, patience) as held:
        begin = time.time()
        times = compile_time(backend, cases)
        return TimedPart(begin, time.time(), _held(held, waits), compile=times)


def disturbed(part: TimedPart, machine: str, others: Sequence[str]) -> TimedPart:
    """The part with the name of its machine, and with a disturbance for each text of ``others``, in its processes."""
    disturbances = (*part.disturbances, *others)
    processes = (
        process.model_copy(update={"machine": machine, "disturbances": list(disturbances)})
        for process in part.processes
    )
    return replace(part, disturbances=disturbances, processes=tuple(processes))


def _held(held: bool, waits: Sequence[str]) -> tuple[str, ...]:
    return () if held else tuple(text.partition(";")[0] for text in waits)
