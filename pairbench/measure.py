"""The measuring: exact results, then timing in fresh processes one after the other, then compile times.

A worker that dies or hangs costs the arm that it was at, and no other: the rest of its job goes to another
process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from bench.cases import Case
from bench.proof.targets import Evidence
from bench.proof.verify import expect_case
from impls import Backend, load
from pairbench.machine import Conditions
from pairbench.progress import Progress
from pairbench.threads import Pool
from pairbench.worker_processes import WorkerDied, run_job
from pairbench.worker_protocol import Arm, CompileJob, CompileResult, Done, Effort, TimedGroup, TimeJob

AA = "A/A"
"""Name of the arm that is the reference a second time."""

CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR")
"""Variables that name the folders in which compiled code is kept."""

DEFAULT = Effort(processes=10, budget=0.3, most_blocks=16, slow=0.05, slow_processes=5, compile=True)
QUICK = Effort(processes=4, budget=0.08, most_blocks=5, slow=0.05, slow_processes=3, compile=False)


@dataclass(frozen=True)
class TimingProcess:
    """What one timing process measured. More than one entry in ``conditions``: it was started again."""

    seed: int
    timed: list[TimedGroup] = field(default_factory=list)
    conditions: list[Conditions] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)


@dataclass(frozen=True)
class CompileTime:
    """Seconds from a backend's first model to its first results, with an empty cache and from the cache."""

    backend: str
    network: str
    cold: float
    cached: float


@dataclass(frozen=True)
class Measurement:
    """All that was measured. ``groups`` has the arms of each case, the reference first, the A/A arm second.

    ``lacking`` says why a backend has not the operation of an arm; such an arm is not timed, and that is no failure.
    """

    groups: Sequence[tuple[Arm, ...]]
    lacking: Mapping[Arm, str] = field(default_factory=dict)
    evidence: dict[Arm, Evidence] = field(default_factory=dict)
    seconds: dict[Arm, float] = field(default_factory=dict)
    failures: dict[Arm, str] = field(default_factory=dict)
    processes: list[TimingProcess] = field(default_factory=list)
    compile_times: list[CompileTime] = field(default_factory=list)


def arms_of_case(
    case: Case, reference: Backend, others: Sequence[Backend], also: Sequence[str] = ()
) -> tuple[Arm, ...]:
    """Arms of a case: the reference, the reference again, and the others, as far as they have the dtype.

    A reference that has not runs in the first dtype that it has. The others run in the dtypes ``also``, too.
    """
    own = case if case.dtype in reference.dtypes else replace(case, dtype=reference.dtypes[0])
    return (
        Arm(reference.name, reference.name, own),
        Arm(AA, reference.name, own),
        *(
            Arm(name if dtype == case.dtype else f"{name} {dtype}", name, replace(case, dtype=dtype))
            for name, dtypes in ((backend.name, backend.dtypes) for backend in others)
            for dtype in dict.fromkeys((case.dtype, *also))
            if dtype in dtypes
        ),
    )


def measure_cases(
    groups: Sequence[tuple[Arm, ...]],
    effort: Effort,
    seed: int,
    progress: Progress,
    compiling: Sequence[str] = (),
) -> Measurement:
    """Check and time the arms of all groups, and time what the ``compiling`` backends compile.

    Raises WorkerRefused where no worker can work, and Unhealthy for inputs that prove nothing.
    """
    lacking = _lacking(groups)
    present = [*filter(None, (tuple(arm for arm in group if arm not in lacking) for group in groups))]
    cases = list(dict.fromkeys(arm.case for group in present for arm in group))
    progress.start(len(cases) + effort.processes * len(present) + len(compiling))
    progress.stage("computing the exact results")
    expectations = {}
    for case in cases:
        expectations[case] = expect_case(case)
        progress.advance()
    measurement = Measurement(groups, lacking)
    for number, process_seed in enumerate(Random(seed).sample(range(2**32), effort.processes)):
        progress.stage(f"timing, process {number + 1} of {effort.processes}")
        chosen = tuple(_chosen(group, measurement, effort, number) for group in present)
        time_in_worker(
            TimeJob(chosen, expectations, dict(measurement.seconds), effort, process_seed), measurement, progress
        )
    for backend in compiling:
        progress.stage(f"compiling {backend}")
        lacks = load(backend).lacks(cases[0].network)
        own = [
            case
            for case in cases
            if (case.network, case.dtype) == (cases[0].network, cases[0].dtype) and case.operation not in lacks
        ]
        with suppress(WorkerDied):  # it has shown up in the timing as well
            measurement.compile_times.append(measure_compile_time(CompileJob(backend, tuple(own))))
        progress.advance()
    return measurement


def time_in_worker(job: TimeJob, measurement: Measurement, progress: Progress, path: Sequence[Path] = ()) -> None:
    """Time groups of arms in a process, and add the outcome to the measurement.

    What lies under ``path`` is imported before what lies here.
    """
    process = TimingProcess(job.seed)
    measurement.processes.append(process)
    remaining = [group for group in job.groups if group]
    while remaining:
        try:
            with closing(run_job(replace(job, groups=tuple(remaining)), path=path)) as answers:
                for answer in answers:
                    if isinstance(answer, TimedGroup):
                        process.timed.append(answer)
                        measurement.evidence.update(answer.evidence)
                        measurement.seconds.update(answer.seconds)
                        measurement.failures.update(answer.failures)
                        remaining.remove(answer.group)
                        progress.advance()
                    elif isinstance(answer, Done):
                        process.conditions.append(answer.conditions)
                        process.pools[:] = answer.pools
        except WorkerDied as death:
            lost = death.at.arm
            measurement.failures[lost] = str(death)
            without = (tuple(arm for arm in group if arm != lost) for group in remaining)
            remaining = [group for group in without if group]


def measure_compile_time(job: CompileJob) -> CompileTime:
    """Time a backend's first results with an empty cache folder, then with the filled one."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in ("cold", "cached"):
            with closing(run_job(job, dict.fromkeys(CACHES, folder))) as answers:
                seconds += [answer.seconds for answer in answers if isinstance(answer, CompileResult)]
    return CompileTime(job.backend, str(job.cases[0].network), *seconds)


def _lacking(groups: Sequence[tuple[Arm, ...]]) -> dict[Arm, str]:
    """Why a backend has not the operation of an arm, for those that have not."""
    arms = [arm for group in groups for arm in group]
    reasons = {arm: load(arm.backend).lacks(arm.case.network).get(arm.case.operation) for arm in arms}
    return {arm: reason for arm, reason in reasons.items() if reason is not None}


def _chosen(group: tuple[Arm, ...], measurement: Measurement, effort: Effort, number: int) -> tuple[Arm, ...]:
    """Arms of a group that process ``number`` times: those that are right, and slow ones in the first alone."""
    return tuple(
        arm
        for arm in group
        if arm not in measurement.failures
        and (
            number < effort.slow_processes or arm.backend == group[0].backend or measurement.seconds[arm] <= effort.slow
        )
    )
