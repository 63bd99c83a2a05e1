"""Measures the suite: computes the exact results, times in fresh processes, then measures compile times."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from bench.arms import Arm
from bench.cases import Case
from bench.correctness import CaseJudge, CaseWorkload, build_model
from bench.proof.expectation import Expectation
from bench.proof.problems import draw_problem
from bench.proof.verify import expect_case
from bench.selection import GUARDED
from bench.workload import ModelWorkload
from impls import Backend, load
from pairbench.measure import Measurement, measure_groups
from pairbench.progress import Progress
from pairbench.worker_calls import call_in_worker
from pairbench.worker_processes import WorkerDied
from pairbench.worker_protocol import Effort

CACHE_VARIABLES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
"""Environment variables that name the cache folders for compiled code."""

DEFAULT_EFFORT = Effort(
    processes=10, seconds_per_arm=0.3, max_blocks=30, slow_call_seconds=0.05, slow_processes=6, compile=True
)
QUICK_EFFORT = Effort(
    processes=6, seconds_per_arm=0.08, max_blocks=10, slow_call_seconds=0.05, slow_processes=6, compile=False
)


@dataclass(frozen=True)
class CompileTime:
    """Seconds that a backend takes to its first results on a network, with an empty and with a filled cache."""

    backend: str
    network: str
    cold: float
    cached: float


@dataclass(frozen=True)
class CaseMeasurement(Measurement[Arm]):
    """All results. Each group has the arms of a case: the reference, the A/A control, the others.

    ``unsupported`` has the arms whose backend does not support the operation, with the reason. These arms are not
    timed, and do not count as failures.
    """

    unsupported: Mapping[Arm, str] = field(default_factory=dict)
    compile_times: list[CompileTime] = field(default_factory=list)


def measure_cases(
    groups: Sequence[tuple[Arm, ...]],
    effort: Effort,
    seed: int,
    progress: Progress,
    compiling: Sequence[str] = (),
) -> CaseMeasurement:
    """Verify and time the arms of all groups, and measure the compile times of the ``compiling`` backends.

    Raises WorkerRefused if the worker processes cannot work at all, and UnfitInputs if the inputs are not suitable to
    detect a wrong backend.
    """
    cases = cases_to_expect(groups)
    progress.start(len(cases))
    progress.stage("computing the exact results")
    expectations = {}
    for case in cases:
        expectations[case] = expect_case(case)
        progress.advance()
    progress.start(effort.processes * len(groups) + len(compiling))  # these steps take longer
    measurement = time_cases(groups, expectations, effort, seed, progress)
    for backend in compiling:
        progress.stage(f"compiling {backend}")
        if (times := compile_time(backend, cases)) is not None:
            measurement.compile_times.append(times)
        progress.advance()
    return measurement


def cases_to_expect(groups: Sequence[tuple[Arm, ...]]) -> list[Case]:
    """The cases whose exact results ``time_cases`` needs: those that a backend supports, each once."""
    unsupported = _unsupported_arms(groups)
    return list(dict.fromkeys(arm.case for group in groups for arm in group if arm not in unsupported))


def time_cases(
    groups: Sequence[tuple[Arm, ...]],
    expectations: Mapping[Case, Expectation],
    effort: Effort,
    seed: int,
    progress: Progress,
) -> CaseMeasurement:
    """Time the arms of all groups, and verify them with the exact results of their cases.

    Raises WorkerRefused if the worker processes cannot work at all.
    """
    unsupported = _unsupported_arms(groups)
    supported_groups = [*filter(None, (tuple(arm for arm in group if arm not in unsupported) for group in groups))]
    case_judges = {case: CaseJudge(case, expectation) for case, expectation in expectations.items()}
    judges = {arm: case_judges[arm.case] for group in supported_groups for arm in group}
    workloads = {arm: CaseWorkload.of(arm.backend, arm.case, judge.expectation) for arm, judge in judges.items()}
    threads = next((arm.case.threads for arm in judges), 1)  # all cases of a command have the same number of threads
    timed = measure_groups(supported_groups, workloads, judges, effort, seed, progress, threads, GUARDED)
    return CaseMeasurement(
        groups, timed.evidence, timed.seconds, timed.failures, timed.remarks, timed.processes, unsupported
    )


def compile_time(backend: str, cases: Sequence[Case]) -> CompileTime | None:
    """The compile time of a backend on those of the cases that have the network and the dtype of the first one.

    None if the backend supports none of them, or ends its process, which the timing records, too.
    """
    same = [case for case in cases if (case.network, case.dtype) == (cases[0].network, cases[0].dtype)]
    supported = [case for case in same if _reason(load(backend), case) is None]
    with suppress(WorkerDied):
        return measure_compile_time(backend, supported) if supported else None
    return None


def measure_compile_time(backend: str, cases: Sequence[Case]) -> CompileTime:
    """Time a backend's first results on cases of one network, with an empty cache folder, then with the filled one.

    Raises WorkerDied if the backend ends the worker process.
    """
    with tempfile.TemporaryDirectory() as folder:
        cold, cached = (
            call_in_worker(
                first_results,
                backend,
                tuple(cases),
                threads=cases[0].threads,
                label=backend,
                variables=dict.fromkeys(CACHE_VARIABLES, folder),
            )
            for _ in ("cold", "cached")
        )
    return CompileTime(backend, str(cases[0].network), cold, cached)


def first_results(name: str, cases: Sequence[Case]) -> float:
    """Seconds until a backend has computed its first result of each case in this process, imports not included."""
    backend = load(name)
    problems = [draw_problem(case.network, case.batch, case.dtype) for case in cases]
    start = time.perf_counter()
    for case, problem in zip(cases, problems, strict=True):
        call = ModelWorkload.of(name, case, problem).timed_call(build_model(backend, case, problem))
        call.function(*call.draw(0, 1)[0])
    return time.perf_counter() - start


def _unsupported_arms(groups: Sequence[tuple[Arm, ...]]) -> dict[Arm, str]:
    """The arms whose backend does not support the operation, the network or the dtype, with the reason."""
    arms = [arm for group in groups for arm in group]
    reasons = {arm: _reason(load(arm.backend), arm.case) for arm in arms}
    return {arm: reason for arm, reason in reasons.items() if reason is not None}


def _reason(backend: Backend, case: Case) -> str | None:
    """Why a backend does not support a case; None if it does."""
    if case.dtype not in backend.dtypes:
        return f"it computes in {' and '.join(backend.dtypes)} only"
    return backend.lacks(case.network).get(case.operation)
