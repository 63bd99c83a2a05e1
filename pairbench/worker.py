"""A worker process: ``python -m pairbench.worker`` reads one job from standard input, does the job, and ends.

The parent sets the thread counts in the environment. The worker checks that the libraries use them.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable
from random import Random
from statistics import median
from typing import Any

from pairbench import interleave, own_tree, threads, timer, worker_processes
from pairbench.error_text import describe_error
from pairbench.machine import Meter
from pairbench.worker_protocol import (
    CallJob,
    CallResult,
    Done,
    Job,
    Message,
    Refused,
    Sample,
    Starting,
    TimedGroup,
    TimeJob,
)
from pairbench.workload import ArmLabel, CheckResult, TimedCall, WorkloadError, require

Send = Callable[[Message], None]


def time_groups(job: TimeJob[Any], send: Send) -> None:
    """Time the groups of a job one after another, and send the result of each."""
    random = Random(job.seed)
    for group in job.groups:
        send(time_group(group, job, random, send))


def time_group(group: tuple[ArmLabel, ...], job: TimeJob[Any], random: Random, send: Send) -> TimedGroup[Any]:
    """Verify the arms of a group, time them, and verify them again. An arm that fails does not stop the other arms."""
    calls: dict[ArmLabel, TimedCall] = {}
    evidence: dict[ArmLabel, CheckResult] = {}
    seconds = {arm: job.seconds[arm] for arm in group if arm in job.seconds}
    samples: dict[ArmLabel, list[Sample]] = {}
    failures: dict[ArmLabel, str] = {}
    # An earlier process has verified the slow arms; repeating that would take longer than timing them.
    verified = {arm for arm in seconds if seconds[arm] > job.effort.slow_call_seconds}

    def for_each_arm(step: str, action: Callable[[ArmLabel], None]) -> None:
        for arm in group:
            if arm not in failures:
                send(Starting(arm, step))
                try:
                    action(arm)
                except (Exception, SystemExit) as error:
                    failures[arm] = failure_reason(error)

    def prepare(arm: ArmLabel) -> None:
        workload = job.workloads[arm]
        if arm in verified:
            calls[arm] = workload.build()
            return
        start = time.perf_counter()
        calls[arm], evidence[arm] = workload.build_verified()
        duration = time.perf_counter() - start
        require(evidence[arm])
        if arm not in seconds:  # in the first process
            require(workload.verify_once())
            # The verification includes a call, so its duration shows a slow call without a further one.
            is_slow = duration > job.effort.slow_call_seconds and not workload.compiles
            seconds[arm] = duration if is_slow else timer.estimate_seconds(calls[arm].function, calls[arm].argument)

    def verify_after(arm: ArmLabel) -> None:
        if arm not in verified:
            require(job.workloads[arm].verify_after(calls[arm]))

    for_each_arm("checking", prepare)
    while ready := [arm for arm in group if arm not in failures]:
        current = ready[0]

        def announce(arm: ArmLabel) -> None:
            nonlocal current
            current = arm
            send(Starting(arm, "timing"))

        try:
            for arm in ready:  # the verification may have passed arguments of other types: compile for the timed ones
                if job.workloads[arm].compiles:
                    announce(arm)
                    calls[arm].function(calls[arm].argument)
            plans = interleave.plan_arms({arm: calls[arm] for arm in ready}, seconds, job.effort)
            samples = interleave.time_interleaved(plans, random, announce)
            break
        except Exception as error:  # the loop times the remaining arms again without this arm
            failures[current] = failure_reason(error)
    for_each_arm("checking after timing", verify_after)
    samples = {arm: arm_samples for arm, arm_samples in samples.items() if arm not in failures}
    seconds.update((arm, median(sample.seconds for sample in arm_samples)) for arm, arm_samples in samples.items())
    return TimedGroup(group, evidence, seconds, samples, failures)


def failure_reason(error: BaseException) -> str:
    """The reason of a failure, in one line."""
    return str(error) if isinstance(error, WorkloadError) else describe_error(error)


def main() -> None:
    """Do the job that standard input gives."""
    send = worker_processes.connect_to_parent()
    job: Job = pickle.load(sys.stdin.buffer)
    meter = Meter.start()
    match job:
        case TimeJob():
            time_groups(job, send)
        case CallJob():
            if job.label is not None:
                send(Starting(job.label, "working"))
            send(CallResult(job.function(*job.arguments)))
    try:
        own_tree.check_origins()
        send(Done(meter.read(), threads.check_thread_counts(job.threads)))
    except (threads.ThreadCountError, own_tree.ForeignModule) as error:
        send(Refused(str(error)))


if __name__ == "__main__":
    main()
