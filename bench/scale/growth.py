"""Times the backends at all points, in rounds.

A round times the next point of each dimension's grid. The times of a round predict those of the next round. The rounds
after the grid bisect the crossovers.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from typing import Protocol

from bench.arms import Arm, arms_of_case
from bench.case_measurement import CompileTime, compile_time, measure_cases
from bench.cases import Case
from bench.records.scale_schema import NotRun, ScaleState
from bench.records.schema import CompileRow, ProcessRecord, TimingRow
from bench.records.timing_rows import process_records, timing_rows
from bench.scale import bisection, points
from bench.scale.extrapolation import extrapolate_seconds
from bench.selection import REFERENCE
from impls import Backend
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort

MAX_CALL_SECONDS = 1.0
"""A call that is predicted to take longer than this is not run."""

EFFORT = Effort(
    processes=6, seconds_per_arm=0.05, max_blocks=20, slow_call_seconds=0.05, slow_processes=6, compile=True
)

Save = Callable[[ScaleState], None]
Timed = tuple[list[TimingRow], list[ProcessRecord]]


class Timer(Protocol):
    """Where the arms are timed: on this machine, or on others."""

    def time_groups(
        self, groups: Sequence[tuple[Arm, ...]], effort: Effort, order: Sequence[str], progress: Progress
    ) -> Iterator[Timed]:
        """Time the arms of all groups, and yield the rows in the ``order`` of the backends, all at once or in parts.

        Each group takes 1 + ``effort.processes`` steps of the progress.
        """

    def compile_time(self, backend: str, case: Case) -> CompileTime | None:
        """The compile time of a backend at a case; None if it ends its process."""


class LocalTimer:
    """Times on this machine, one group after another."""

    def time_groups(
        self, groups: Sequence[tuple[Arm, ...]], effort: Effort, order: Sequence[str], progress: Progress
    ) -> Iterator[Timed]:
        """Time the arms of all groups, and yield all rows at once."""
        measurement = measure_cases(groups, effort, secrets.randbits(32), _Steps(progress))
        yield timing_rows(measurement, order), process_records(measurement)

    def compile_time(self, backend: str, case: Case) -> CompileTime | None:
        """The compile time of a backend at a case; None if it ends its process."""
        return compile_time(backend, [case])


class _Steps:
    """Reports the progress of one round as steps of the whole measurement."""

    def __init__(self, whole: Progress):
        self.advance = whole.advance

    def start(self, steps: int) -> None:
        """Do nothing: the whole measurement has already started its progress."""

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Do nothing: the whole measurement reports the stages."""


def measure_growth(
    state: ScaleState,
    backends: Sequence[Backend],
    effort: Effort,
    progress: Progress,
    save: Save,
    timer: Timer,
) -> ScaleState:
    """Time the points that are missing in the state with a ``timer``.

    ``save`` receives the state whenever points are done. Raises WorkerRefused if no worker can run, and UnfitInputs if
    no inputs can reveal a wrong backend.
    """
    cases, compilations = points.all_cases(), _compilations(state, backends)
    remaining = len(set(cases) - _done(state))
    progress.start(remaining * (1 + effort.processes) + len(compilations))
    if remaining < len(cases):
        progress.stage(f"resuming: {len(cases) - remaining} of {len(cases)} points are done")
    while batch := _next(state, backends):
        progress.stage(", ".join(map(_title, batch)) + _last_speedup(state))
        state = _round(state, batch, backends, effort, progress, timer, save)
    while inside := _next_bisection(state, backends):
        progress.start(len(inside) * (1 + effort.processes) + len(compilations))
        progress.stage(f"crossovers: {', '.join(map(_title, inside))}")
        state = state.model_copy(update={"bisections": state.bisections + 1})
        state = _round(state, inside, backends, effort, progress, timer, save)
    for backend, case in compilations:
        progress.stage(f"compiling {backend.name} for {case.network}")
        state = _with_compile_time(state, backend, case, timer)
        save(state)
        progress.advance()
    return state


def _last_speedup(state: ScaleState) -> str:
    """The rough speedup of the fastest backend at the last point, for the display; empty if there is none."""
    last = [(row.seconds, row.backend) for row in state.rows if row.seconds and row.case == state.rows[-1].case]
    reference = [seconds for seconds, name in last if name == REFERENCE]
    if not reference:
        return ""
    seconds, name = min(last)
    return f"; {name} {reference[0] / seconds:.3g} × {REFERENCE}"


def failures(state: ScaleState) -> dict[str, str]:
    """Return, by backend, the reason of its first failure."""
    reasons: dict[str, str] = {}
    for row in state.rows:
        if not row.ok:
            reasons.setdefault(row.backend, row.reason)
    return reasons


def _round(
    state: ScaleState,
    batch: Mapping[Case, Sequence[Backend]],
    backends: Sequence[Backend],
    effort: Effort,
    progress: Progress,
    timer: Timer,
    save: Save,
) -> ScaleState:
    """Time backends against each other at the cases of a batch, but for those that failed or would take too long.

    ``save`` receives the state whenever cases are done.
    """
    failed = failures(state)
    groups: list[tuple[Arm, ...]] = []
    not_run = []
    for case, of_case in batch.items():
        expected: dict[str, float | None] = {}
        ready = []
        for backend in of_case:
            seconds = _predicted(state, backend, case)
            if backend.name in failed or (seconds is not None and seconds > MAX_CALL_SECONDS):
                reason = (
                    "the backend failed at an earlier point" if backend.name in failed else "a call would take too long"
                )
                not_run.append(
                    NotRun(
                        **case.fields(),
                        backend=backend.name,
                        predicted_seconds=None if backend.name in failed else seconds,
                        reason=f"not run: {reason}",
                    )
                )
            else:
                expected[backend.name] = seconds
                ready.append(backend)
        if ready:
            groups.append(_group(case, ready, expected))
        else:
            for _ in range(1 + effort.processes):
                progress.advance()
    # A case of which a part is saved counts as done, so all its rows are saved together.
    cases = {group[0].case for group in groups}
    done = [row for row in not_run if row.case not in cases]
    state = state.model_copy(update={"not_run": [*state.not_run, *done]})
    if not groups:
        save(state)
        return state
    for rows, processes in timer.time_groups(groups, effort, [backend.name for backend in backends], progress):
        cases = {row.case for row in rows}
        state = state.model_copy(
            update={
                "rows": [*state.rows, *rows],
                "not_run": [*state.not_run, *(row for row in not_run if row.case in cases)],
                "processes": [*state.processes, *processes],
            }
        )
        save(state)
    return state


def _group(case: Case, ready: Sequence[Backend], expected: dict[str, float | None]) -> tuple[Arm, ...]:
    """The arms of a case, the backend with the shortest predicted time first.

    No arm gets more blocks than the first one, and a slow first arm would get few.
    """

    def rank(backend: Backend) -> tuple[float, bool]:
        seconds = expected[backend.name]
        return inf if seconds is None else seconds, backend.name != REFERENCE

    first = min(ready, key=rank)
    return arms_of_case(case, first, [backend for backend in ready if backend is not first])


def _predicted(state: ScaleState, backend: Backend, case: Case) -> float | None:
    """The predicted seconds of a call: the largest prediction of all dimensions, or None if there are no times yet."""
    seconds = {row.case: row.seconds for row in state.rows if row.arm == backend.name}
    predictions = []
    for dimension, value in points.places(case):
        timed = [
            (size, duration)
            for size in dimension.values
            if size < value and (duration := seconds.get(dimension.case(size))) is not None
        ]
        predictions.append(extrapolate_seconds(timed, value, dimension.exponent))
    return max((prediction for prediction in predictions if prediction is not None), default=None)


def _done(state: ScaleState) -> set[Case]:
    return {row.case for row in (*state.rows, *state.not_run)}


def _next(state: ScaleState, backends: Sequence[Backend]) -> dict[Case, list[Backend]]:
    """The next case of each dimension's grid, with its backends; in the first round also the break-even points."""
    done = _done(state)
    cases = [case for case in points.break_even_cases() if case not in done]
    for dimension in points.DIMENSIONS:
        cases += [case for case in map(dimension.case, dimension.values) if case not in done][:1]
    return {case: points.backends_at(case, backends) for case in cases}


def _next_bisection(state: ScaleState, backends: Sequence[Backend]) -> dict[Case, list[Backend]]:
    """The cases of the next step of bisection, with their backends: those that compile once and have not failed."""
    if state.bisections >= bisection.STEPS:
        return {}
    failed = failures(state)
    return bisection.next_points(
        state, [backend for backend in backends if backend.name not in failed and not backend.compiles_shapes]
    )


def _title(case: Case) -> str:
    return next((f"{dimension.name} {value}" for dimension, value in points.places(case)), str(case.network))


def _compilations(state: ScaleState, backends: Sequence[Backend]) -> list[tuple[Backend, Case]]:
    done = {(row.backend, row.network) for row in state.compile}
    return [
        (backend, case)
        for case in points.break_even_cases()
        for backend in backends
        if backend.compiles and (backend.name, str(case.network)) not in done
    ]


def _with_compile_time(state: ScaleState, backend: Backend, case: Case, timer: Timer) -> ScaleState:
    """Add a compile time to the state, unless the backend has failed or its worker dies."""
    if backend.name in failures(state) or (times := timer.compile_time(backend.name, case)) is None:
        return state
    row = CompileRow(backend=times.backend, network=times.network, cold_seconds=times.cold, cached_seconds=times.cached)
    return state.model_copy(update={"compile": [*state.compile, row]})
