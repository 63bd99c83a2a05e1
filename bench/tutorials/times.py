"""Times the networks of a tutorial's timing tables, and compares the times with the printed ones."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from functools import partial

import impls
from bench.arms import arms_of_case
from bench.case_measurement import measure_cases
from bench.cases import Case
from bench.records import timing_rows
from bench.records.schema import TimingRow
from bench.records.tutorial_schema import TutorialRow
from bench.tutorials.programs import PrintedTime, Tutorial
from impls import Backend
from pairbench.measure import AA_CONTROL
from pairbench.progress import NoProgress
from pairbench.worker_protocol import Effort

LOOPS = "python_loops_ndarray"
"""The backend that corresponds to the tutorials' loops, which index NumPy arrays. The reference of the speedups."""

MATRIX = ("numpy_plain", "numpy_vectorized")
"""The backends to compare with the tutorials' matrix form: as the tutorials write it, and optimized."""


def time_samples(tutorial: Tutorial, backends: Sequence[Backend], effort: Effort) -> Iterator[TutorialRow]:
    """Time one sample on each network. Yields for each backend a row with its seconds, and one with its speedup."""
    reference = impls.load(LOOPS)
    others = [backend for backend in backends if backend.name != LOOPS]
    groups = [arms_of_case(Case(printed.network, "forward", 1), reference, others) for printed in tutorial.times]
    measurement = measure_cases(groups, effort, secrets.randbits(32), NoProgress())
    order = [LOOPS, *(backend.name for backend in others)]
    for row in timing_rows.timing_rows(measurement, order):
        printed = next(entry for entry in tutorial.times if entry.network.layer_sizes == tuple(row.layer_sizes))
        if row.arm != AA_CONTROL:
            yield from _rows(tutorial.key, printed, row)


def _rows(key: str, printed: PrintedTime, row: TimingRow) -> Iterator[TutorialRow]:
    make_row = partial(TutorialRow, document=key, part=f"one sample, {printed.network}", backend=row.backend, ok=row.ok)
    seconds = printed.loops if row.backend == LOOPS else printed.matrix if row.backend in MATRIX else None
    yield make_row(
        figure="time",
        printed=None if seconds is None else f"{seconds:g}",
        kind="time",
        value=row.seconds,
        ratio=row.seconds / seconds if row.seconds is not None and seconds is not None else None,
        note=row.reason,
    )
    if row.backend == LOOPS or row.speedup is None:
        return
    speedup = printed.speedup if row.backend in MATRIX else None
    yield make_row(
        figure="speedup over loops on arrays",
        printed=None if speedup is None else f"{speedup:g}",
        kind="speedup",
        value=row.speedup.estimate,
        low=row.speedup.low,
        high=row.speedup.high,
        ratio=row.speedup.estimate / speedup if speedup is not None else None,
    )
