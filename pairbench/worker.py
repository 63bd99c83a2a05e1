"""One fresh measuring process: ``python -m pairbench.worker`` does the one job that it reads from standard input.

The parent sets the thread counts in the environment; here they are checked.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable
from random import Random
from statistics import median
from typing import Any

from bench import correctness
from bench.proof.error_text import describe_error
from bench.proof.problems import draw_problem
from bench.proof.targets import Evidence
from bench.workload import timed_call
from impls import BackendError, Model, load
from pairbench import channel, interleave, threads, timer
from pairbench.machine import Meter
from pairbench.worker_protocol import (
    Arm,
    CallJob,
    CallResult,
    CompileJob,
    CompileResult,
    Done,
    Job,
    Message,
    Refused,
    Sample,
    Starting,
    TimedGroup,
    TimeJob,
)

Send = Callable[[Message], None]


def time_groups(job: TimeJob, send: Send) -> None:
    """Time the groups of arms one after the other."""
    random = Random(job.seed)
    for group in job.groups:
        send(time_group(group, job, random, send))


def time_group(group: tuple[Arm, ...], job: TimeJob, random: Random, send: Send) -> TimedGroup:
    """Build, check, time and check again the arms of a group; one that fails leaves the others to go on."""
    models: dict[Arm, Model] = {}
    evidence: dict[Arm, Evidence] = {}
    seconds = {arm: job.seconds[arm] for arm in group if arm in job.seconds}
    samples: dict[Arm, list[Sample]] = {}
    failures: dict[Arm, str] = {}
    calls: dict[Arm, tuple[Callable[[Any], object], Any]] = {}
    # An earlier process has checked these before and after, and they would take up most of the time.
    checked = {arm for arm in seconds if seconds[arm] > job.effort.slow}

    def each(step: str, action: Callable[[Arm], None]) -> None:
        for arm in group:
            if arm not in failures:
                send(Starting(arm, step))
                try:
                    action(arm)
                except (Exception, SystemExit) as error:
                    failures[arm] = reason(error)

    def prepare(arm: Arm) -> None:
        backend, expectation = load(arm.backend), job.expectations[arm.case]
        if arm in checked:
            models[arm] = correctness.build_model(backend, arm.case, expectation.problem)
            return
        start = time.perf_counter()
        models[arm], evidence[arm] = correctness.build_verified(backend, arm.case, expectation)
        duration = time.perf_counter() - start
        correctness.require(evidence[arm])
        if arm not in seconds:  # in the first process
            correctness.require(correctness.contract_evidence(arm.backend, arm.case.dtype))
            # A check makes one call at least, and of slow ones none is spent on an estimate.
            slow = duration > job.effort.slow and not backend.compiles
            function, argument = timed_call(arm.case, models[arm], expectation.problem)
            seconds[arm] = duration if slow else timer.estimate_seconds(function, argument)

    def verify(arm: Arm) -> None:
        if arm not in checked:
            correctness.verify_timed_call(
                load(arm.backend), arm.case, job.expectations[arm.case], models[arm], calls[arm]
            )

    each("checking", prepare)
    while ready := [arm for arm in group if arm not in failures]:
        calls = {arm: timed_call(arm.case, models[arm], job.expectations[arm.case].problem) for arm in ready}
        current = ready[0]

        def before(arm: Arm) -> None:
            nonlocal current
            current = arm
            send(Starting(arm, "timing"))

        try:
            for arm in ready:  # the checks may have made no call like it: other epochs may mean compiling again
                if load(arm.backend).compiles:
                    before(arm)
                    function, argument = calls[arm]
                    function(argument)
            plans = interleave.plan_arms(ready, list(calls.values()), [seconds[arm] for arm in ready], job.effort)
            samples = interleave.time_interleaved(plans, random, before)
            break
        except Exception as error:  # the others are timed again, without it
            failures[current] = reason(error)
    each("checking after timing", verify)
    samples = {arm: taken for arm, taken in samples.items() if arm not in failures}
    seconds.update((arm, median(sample.seconds for sample in taken)) for arm, taken in samples.items())
    return TimedGroup(group, evidence, seconds, samples, failures)


def compile_cases(job: CompileJob, send: Send) -> None:
    """Time a backend's first model and first results. Its library is imported before."""
    backend = load(job.backend)
    problems = [draw_problem(case.network, case.batch, case.dtype) for case in job.cases]
    start = time.perf_counter()
    for case, problem in zip(job.cases, problems, strict=True):
        send(Starting(Arm(job.backend, job.backend, case), "compiling"))
        function, argument = timed_call(case, correctness.build_model(backend, case, problem), problem)
        function(argument)
    send(CompileResult(time.perf_counter() - start))


def reason(error: BaseException) -> str:
    """An exception in one line."""
    return str(error) if isinstance(error, correctness.CheckFailed | BackendError) else describe_error(error)


def main() -> None:
    """Do one job."""
    send = channel.connect_to_parent()
    job: Job = pickle.load(sys.stdin.buffer)
    meter = Meter.start()
    match job:
        case TimeJob():
            time_groups(job, send)
        case CompileJob():
            compile_cases(job, send)
        case CallJob():
            send(CallResult(job.function(*job.arguments)))
    try:
        send(Done(meter.read(), threads.check_thread_counts(job.threads)))
    except threads.ThreadCountError as error:
        send(Refused(str(error)))


if __name__ == "__main__":
    main()
