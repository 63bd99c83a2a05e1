"""Times arms in fresh processes, one after the other.

If a worker dies or hangs, only the arm that it was working on fails. A new process does the rest of the job.
"""

from __future__ import annotations

__all__ = ["AA_CONTROL", "Measurement", "chosen_arms", "measure_groups", "time_in_worker"]

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Generic

from pairbench import clock_check
from pairbench.clock_check import ClockReading
from pairbench.duration import process_seconds
from pairbench.judged_samples import JUDGED_CALLS
from pairbench.machine import Conditions
from pairbench.progress import Progress
from pairbench.threads import Pool
from pairbench.worker_processes import WorkerDied, WorkerDisturbed, run_job
from pairbench.worker_protocol import ArmT, Done, Effort, TimedGroup, TimeJob
from pairbench.workload import CheckedWorkload, CheckResult, Judge, find_wrong_result

AA_CONTROL = "A/A"
"""Name of the A/A control, the arm that times the reference a second time."""


@dataclass(frozen=True)
class TimingProcess(Generic[ArmT]):
    """Results of one timing process. ``conditions`` has an entry more for each restart of the process."""

    seed: int
    timed: list[TimedGroup[ArmT]] = field(default_factory=list)
    conditions: list[Conditions] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)


@dataclass(frozen=True)
class Measurement(Generic[ArmT]):
    """All results, by arm. Each group has the arms that are timed against each other, the reference first."""

    groups: Sequence[tuple[ArmT, ...]]
    evidence: dict[ArmT, CheckResult] = field(default_factory=dict)
    seconds: dict[ArmT, float] = field(default_factory=dict)
    failures: dict[ArmT, str] = field(default_factory=dict)
    remarks: dict[ArmT, list[str]] = field(default_factory=dict)
    processes: list[TimingProcess[ArmT]] = field(default_factory=list)


def measure_groups(
    groups: Sequence[tuple[ArmT, ...]],
    workloads: Mapping[ArmT, CheckedWorkload],
    judges: Mapping[ArmT, Judge],
    effort: Effort,
    seed: int,
    progress: Progress,
    threads: int = 1,
    guarded: tuple[str, ...] = ("pairbench",),
) -> Measurement[ArmT]:
    """Check and time the arms of all groups; an arm fails if it replaces a function of the ``guarded`` packages.

    Raises WorkerRefused if the worker processes cannot work at all.
    """
    measurement = Measurement(groups)
    clock = ProcessClock(measurement, effort)
    for number, process_seed in enumerate(Random(seed).sample(range(2**32), effort.processes)):
        chosen_groups = [chosen_arms(group, measurement, effort, number) for group in groups]
        for _ in range(chosen_groups.count(())):
            progress.advance()
        chosen_groups = [group for group in chosen_groups if group]
        if not chosen_groups:
            continue
        title = f"timing, process {number + 1} of {effort.processes}{_speedup(chosen_groups[-1], measurement.seconds)}"
        progress.stage(title, clock.seconds_left(number))
        seconds = dict(measurement.seconds)
        job = TimeJob(tuple(chosen_groups), workloads, seconds, effort, process_seed, threads, guarded)
        time_in_worker(job, judges, measurement, progress)
    return measurement


class ProcessClock(Generic[ArmT]):
    """Tells how long the remaining processes take."""

    def __init__(self, measurement: Measurement[ArmT], effort: Effort):
        self._measurement, self._effort = measurement, effort
        self._begun = time.monotonic()

    def seconds_left(self, number: int) -> float | None:
        """The time left when process ``number`` begins; unknown before the first, which measures the calls."""
        if number == 0:
            return None
        predicted = [self._predicted(process) for process in range(self._effort.processes)]
        slowness = (time.monotonic() - self._begun) / sum(predicted[:number])
        return slowness * sum(predicted[number:])

    def _predicted(self, number: int) -> float:
        measurement = self._measurement
        chosen = [chosen_arms(group, measurement, self._effort, number) for group in measurement.groups]
        return process_seconds(chosen, measurement.seconds, self._effort, number)


def _speedup(group: tuple[ArmT, ...], seconds: Mapping[ArmT, float]) -> str:
    """The rough speedup of the fastest arm of a group, for the display; empty if there is none."""
    reference, *others = group
    timed = [arm for arm in others if arm in seconds and arm.name != AA_CONTROL]
    if reference not in seconds or not timed:
        return ""
    fastest = min(timed, key=seconds.__getitem__)
    return f"; {fastest.name} {seconds[reference] / seconds[fastest]:.3g} × {reference.name}"


def time_in_worker(
    job: TimeJob[ArmT],
    judges: Mapping[ArmT, Judge],
    measurement: Measurement[ArmT],
    progress: Progress,
    path: Sequence[Path] = (),
) -> None:
    """Time the groups of a job in a worker process, judge the results here, and add both to the measurement.

    An arm that is wrong, or whose clock is, has a failure and no samples. The worker's import path begins with the
    folders in ``path``.
    """
    process: TimingProcess[ArmT] = TimingProcess(job.seed)
    measurement.processes.append(process)
    remaining = [group for group in job.groups if group]
    readings: dict[ArmT, list[ClockReading]] = defaultdict(list)
    while remaining:
        try:
            with closing(run_job(replace(job, groups=tuple(remaining)), path=path)) as answers:
                for answer in answers:
                    if isinstance(answer, ClockReading):
                        readings[answer.arm].append(answer)
                    elif isinstance(answer, TimedGroup):
                        judged = _judge_group(answer, judges, readings, measurement.evidence)
                        process.timed.append(judged)
                        measurement.seconds.update(judged.seconds)
                        measurement.failures.update(judged.failures)
                        measurement.remarks.update(judged.remarks)
                        remaining.remove(answer.group)
                        progress.advance()
                    elif isinstance(answer, Done):
                        process.conditions.append(answer.conditions)
                        process.pools[:] = answer.pools
        except (WorkerDied, WorkerDisturbed) as end:
            failed = [arm for group in remaining for arm in group if _is_culprit(arm, end)]
            measurement.failures.update(dict.fromkeys(failed, str(end)))
            groups_left = (tuple(arm for arm in group if arm not in failed) for group in remaining)
            remaining = [group for group in groups_left if group]


def _is_culprit(arm: ArmT, end: WorkerDied | WorkerDisturbed) -> bool:
    return bool(arm == end.at.arm) if isinstance(end, WorkerDied) else arm.backend == end.backend


def _judge_group(
    timed: TimedGroup[ArmT],
    judges: Mapping[ArmT, Judge],
    readings: Mapping[ArmT, Sequence[ClockReading]],
    evidence: dict[ArmT, CheckResult],
) -> TimedGroup[ArmT]:
    """The group with a failure, and without times, for each arm that is wrong. ``evidence`` gets the new evidence."""
    failures = dict(timed.failures)

    def judge_results(arm: ArmT) -> CheckResult:
        evidence[arm] = judges[arm].judge_results(timed.results[arm])
        return evidence[arm]

    for arm in timed.group:
        checks: list[Callable[[], CheckResult]] = [partial(judge_results, arm)] if arm in timed.results else []
        checks += [partial(judges[arm].judge_sample, record) for record in timed.records.get(arm, ())]
        if wrong := find_wrong_result(checks):
            failures[arm] = wrong  # says more than what the worker noticed later
        elif arm not in failures and (missing := _missing_judged_calls(timed, arm)):
            failures[arm] = missing
        elif arm not in failures and (clock_error := _clock_error(arm, readings)):
            failures[arm] = clock_error
    return replace(
        timed,
        seconds={arm: value for arm, value in timed.seconds.items() if arm not in failures},
        samples={arm: value for arm, value in timed.samples.items() if arm not in failures},
        failures=failures,
    )


def _missing_judged_calls(timed: TimedGroup[ArmT], arm: ArmT) -> str:
    """That fewer timed calls can be judged than the parent requires, in one line; empty if there are enough."""
    samples = timed.samples.get(arm, ())
    required = min([JUDGED_CALLS, *(sample.loops for sample in samples)]) if samples else 0
    judged = sum(len(record.plan.judged) for record in timed.records.get(arm, ()))
    return f"only {judged} of its timed calls can be judged, not {required}" if judged < required else ""


def _clock_error(arm: ArmT, readings: Mapping[ArmT, Sequence[ClockReading]]) -> str:
    others = [reading for other, of_other in readings.items() if other != arm for reading in of_other]
    return clock_check.disagreement(readings.get(arm, ()), others)


def chosen_arms(
    group: tuple[ArmT, ...], measurement: Measurement[ArmT], effort: Effort, number: int
) -> tuple[ArmT, ...]:
    """Arms of a group that process ``number`` times: no failed arms, and slow arms only in the first processes.

    Without its reference no arm has a ratio, so a group whose reference is slow is left out with it.
    """
    arms = [arm for arm in group if arm not in measurement.failures]
    if number < effort.slow_processes:
        return tuple(arms)
    seconds = {arm: measurement.seconds.get(arm, 0.0) for arm in group}
    if seconds[group[0]] > effort.slow_call_seconds:
        return ()
    return tuple(arm for arm in arms if seconds[arm] <= effort.slow_call_seconds or arm.name == AA_CONTROL)
