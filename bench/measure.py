"""The suite's measurements: exact results first, then timing in fresh processes, then compile times."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from bench.arms import Arm
from bench.cases import Case
from bench.correctness import CaseWorkload, build_model
from bench.proof.problems import draw_problem
from bench.proof.verify import expect_case
from bench.workload import timed_call
from impls import load
from pairbench.measure import Measurement, measure_groups
from pairbench.progress import Progress
from pairbench.worker_processes import WorkerDied, run_job
from pairbench.worker_protocol import CallJob, CallResult, Effort

CACHE_VARIABLES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that name the folders in which compiled code is kept."""

DEFAULT = Effort(
    processes=10, seconds_per_arm=0.3, max_blocks=30, slow_call_seconds=0.05, slow_processes=5, compile=True
)
QUICK = Effort(
    processes=4, seconds_per_arm=0.08, max_blocks=10, slow_call_seconds=0.05, slow_processes=3, compile=False
)


@dataclass(frozen=True)
class CompileTime:
    """Seconds from a backend's first model to its first results, with an empty cache and from the cache."""

    backend: str
    network: str
    cold: float
    cached: float


@dataclass(frozen=True)
class CaseMeasurement(Measurement[Arm]):
    """All that was measured. ``groups`` has the arms of each case, the reference first, the A/A control second.

    ``unsupported`` says why a backend does not support the operation of an arm. Such an arm is not timed, and that is
    no failure.
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
    """Verify and time the arms of all groups, and time what the ``compiling`` backends compile.

    Raises WorkerRefused where no worker can work, and UnfitInputs for inputs on which a wrong backend would not show.
    """
    unsupported = _unsupported_arms(groups)
    present = [*filter(None, (tuple(arm for arm in group if arm not in unsupported) for group in groups))]
    cases = list(dict.fromkeys(arm.case for group in present for arm in group))
    progress.start(len(cases) + effort.processes * len(present) + len(compiling))
    progress.stage("computing the exact results")
    expectations = {}
    for case in cases:
        expectations[case] = expect_case(case)
        progress.advance()
    workloads = {arm: CaseWorkload(arm.backend, arm.case, expectations[arm.case]) for group in present for arm in group}
    threads = cases[0].threads if cases else 1  # one command gives all its cases the same
    timed = measure_groups(present, workloads, effort, seed, progress, threads)
    compile_times = []
    for backend in compiling:
        progress.stage(f"compiling {backend}")
        unsupported_here = load(backend).lacks(cases[0].network)
        own = [
            case
            for case in cases
            if (case.network, case.dtype) == (cases[0].network, cases[0].dtype)
            and case.operation not in unsupported_here
        ]
        with suppress(WorkerDied):  # the timing has shown it as well
            compile_times.append(measure_compile_time(backend, own))
        progress.advance()
    return CaseMeasurement(
        groups, timed.evidence, timed.seconds, timed.failures, timed.processes, unsupported, compile_times
    )


def measure_compile_time(backend: str, cases: Sequence[Case]) -> CompileTime:
    """Time a backend's first results on cases of one network: with an empty cache folder, then with the filled one.

    Raises WorkerDied where the backend ends the process.
    """
    seconds = []
    job = CallJob(first_results, (backend, tuple(cases)), cases[0].threads, label=backend)
    with tempfile.TemporaryDirectory() as folder:
        for _ in ("cold", "cached"):
            with closing(run_job(job, dict.fromkeys(CACHE_VARIABLES, folder))) as answers:
                seconds += [answer.value for answer in answers if isinstance(answer, CallResult)]
    return CompileTime(backend, str(cases[0].network), *seconds)


def first_results(name: str, cases: Sequence[Case]) -> float:
    """Seconds that a backend takes in this process to its first result of each case; importing its library before."""
    backend = load(name)
    problems = [draw_problem(case.network, case.batch, case.dtype) for case in cases]
    start = time.perf_counter()
    for case, problem in zip(cases, problems, strict=True):
        call = timed_call(case, build_model(backend, case, problem), problem)
        call.function(call.argument)
    return time.perf_counter() - start


def _unsupported_arms(groups: Sequence[tuple[Arm, ...]]) -> dict[Arm, str]:
    """Why a backend does not support the operation of an arm, for those that do not."""
    arms = [arm for group in groups for arm in group]
    reasons = {arm: load(arm.backend).lacks(arm.case.network).get(arm.case.operation) for arm in arms}
    return {arm: reason for arm, reason in reasons.items() if reason is not None}
