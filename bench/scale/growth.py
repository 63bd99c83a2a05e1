"""Timing all points, in rounds: the next point of each dimension, so that a round's times predict those of the next."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf

from bench.arms import Arm, arms_of_case
from bench.cases import Case
from bench.measure import CaseMeasurement, measure_cases, measure_compile_time
from bench.records.schema import CompileRow, NotRun, ScaleState
from bench.records.timing_rows import process_records, timing_rows
from bench.scale import points
from bench.scale.extrapolation import extrapolate_seconds
from bench.selection import REFERENCE
from impls import Backend
from pairbench.progress import Progress
from pairbench.worker_processes import WorkerDied
from pairbench.worker_protocol import Effort

MAX_CALL_SECONDS = 1.0
"""Seconds: a call that is predicted to take longer is not run."""

EFFORT = Effort(
    processes=6, seconds_per_arm=0.05, max_blocks=20, slow_call_seconds=0.05, slow_processes=3, compile=True
)

Save = Callable[[ScaleState], None]


class _Steps:
    """Progress of one round, as steps of the whole."""

    def __init__(self, whole: Progress):
        self.advance = whole.advance

    def start(self, steps: int) -> None:
        """The whole has been started."""

    def stage(self, text: str) -> None:
        """The whole says which round it is."""


def measure_growth(
    state: ScaleState, backends: Sequence[Backend], effort: Effort, progress: Progress, save: Save
) -> ScaleState:
    """Time what the state does not have yet; ``save`` gets the state after each round.

    Raises WorkerRefused where no worker can work, and Unhealthy for inputs that prove nothing.
    """
    cases, compiling = points.all_cases(), _compiling(state, backends)
    left = len(cases) - len(_done(state))
    progress.start(left * (1 + effort.processes) + len(compiling))
    if left < len(cases):
        progress.stage(f"going on: {len(cases) - left} of {len(cases)} points are done")
    while batch := _next(state):
        progress.stage(", ".join(map(_title, batch)))
        state = _round(state, batch, backends, effort, progress)
        save(state)
    for backend, case in compiling:
        progress.stage(f"compiling {backend.name} for {case.network}")
        state = _with_compile_time(state, backend, case)
        save(state)
        progress.advance()
    return state


def failures(state: ScaleState) -> dict[str, str]:
    """By backend, what was wrong with it where it first failed."""
    found: dict[str, str] = {}
    for row in state.rows:
        if not row.ok:
            found.setdefault(row.backend, row.reason)
    return found


def _round(
    state: ScaleState, batch: Sequence[Case], backends: Sequence[Backend], effort: Effort, progress: Progress
) -> ScaleState:
    """Time the backends at some cases against each other, those that have not failed and will not take too long."""
    failed = failures(state)
    groups: list[tuple[Arm, ...]] = []
    not_run = []
    for case in batch:
        expected: dict[str, float | None] = {}
        ready = []
        for backend in points.at(case, backends):
            seconds = _predicted(state, backend, case)
            if backend.name in failed or (seconds is not None and seconds > MAX_CALL_SECONDS):
                reason = "it has failed before" if backend.name in failed else "it would take too long"
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
    measurement = (
        measure_cases(groups, effort, secrets.randbits(32), _Steps(progress)) if groups else CaseMeasurement([])
    )
    return state.model_copy(
        update={
            "rows": [*state.rows, *timing_rows(measurement, [backend.name for backend in backends])],
            "not_run": [*state.not_run, *not_run],
            "processes": [*state.processes, *process_records(measurement)],
        }
    )


def _group(case: Case, ready: Sequence[Backend], expected: dict[str, float | None]) -> tuple[Arm, ...]:
    """Arms of a case. The fastest is in every block: beside slow loops there would be few blocks for the others."""

    def rank(backend: Backend) -> tuple[float, bool]:
        seconds = expected[backend.name]
        return inf if seconds is None else seconds, backend.name != REFERENCE

    first = min(ready, key=rank)
    return arms_of_case(case, first, [backend for backend in ready if backend is not first])


def _predicted(state: ScaleState, backend: Backend, case: Case) -> float | None:
    """Seconds that a call should take, by the dimension in which that is most; None where nothing is known."""
    seconds = {row.case: row.seconds for row in state.rows if row.arm == backend.name}
    found = []
    for dimension, value in points.places(case):
        timed = [
            (size, duration)
            for size in dimension.values
            if size < value and (duration := seconds.get(dimension.case(size))) is not None
        ]
        found.append(extrapolate_seconds(timed, value, dimension.exponent))
    return max((one for one in found if one is not None), default=None)


def _done(state: ScaleState) -> set[Case]:
    return {row.case for row in (*state.rows, *state.not_run)}


def _next(state: ScaleState) -> list[Case]:
    """The next case of each dimension, and in the first round the networks for which compiling is to pay."""
    done = _done(state)
    cases = [case for case in points.break_even_cases() if case not in done]
    for dimension in points.DIMENSIONS:
        cases += [case for case in map(dimension.case, dimension.values) if case not in done][:1]
    return list(dict.fromkeys(cases))


def _title(case: Case) -> str:
    return next((f"{dimension.name} {value}" for dimension, value in points.places(case)), str(case.network))


def _compiling(state: ScaleState, backends: Sequence[Backend]) -> list[tuple[Backend, Case]]:
    done = {(row.backend, row.network) for row in state.compile}
    return [
        (backend, case)
        for case in points.break_even_cases()
        for backend in backends
        if backend.compiles and (backend.name, str(case.network)) not in done
    ]


def _with_compile_time(state: ScaleState, backend: Backend, case: Case) -> ScaleState:
    """The state with a compile time; without it where the backend is not right, or dies."""
    if backend.name in failures(state):
        return state
    with suppress(WorkerDied):
        times = measure_compile_time(backend.name, [case])
        row = CompileRow(
            backend=times.backend, network=times.network, cold_seconds=times.cold, cached_seconds=times.cached
        )
        return state.model_copy(update={"compile": [*state.compile, row]})
    return state
