"""A worker process: ``python -m pairbench.worker`` reads one job from standard input, does the job, and ends.

The parent sets the thread counts in the environment. The worker checks that the libraries use them.
"""

from __future__ import annotations

import pickle
import sys
import time
from collections.abc import Callable, Sequence
from random import Random
from statistics import median
from typing import Any

from pairbench import background_work, cache_check, interleave, own_tree, threads, worker_connection
from pairbench.background_work import BackgroundWork
from pairbench.function_watch import FunctionWatch
from pairbench.interleave import Observer, TimedArm
from pairbench.judged_samples import as_plain_data
from pairbench.machine import Meter
from pairbench.process_settings import SettingsWatch
from pairbench.threads import ThreadWatch
from pairbench.worker_protocol import (
    CallJob,
    CallResult,
    Disturbing,
    Done,
    Finished,
    Job,
    Message,
    Refused,
    Starting,
    TimedGroup,
    TimeJob,
)
from pairbench.workload import ArmLabel, CheckedWorkload, TimedCall, WorkloadError, failure_reason, require

Send = Callable[[Message], None]


def time_groups(job: TimeJob[Any], functions: FunctionWatch, send: Send) -> None:
    """Time the groups of a job one after another, and send the result of each."""
    random = Random(job.seed)
    functions.extend(*job.guarded)
    background: BackgroundWork = BackgroundWork(job.threads)
    for group in job.groups:
        send(time_group(group, job, functions, background, random, send))


def time_group(
    group: tuple[ArmLabel, ...],
    job: TimeJob[Any],
    functions: FunctionWatch,
    background: BackgroundWork,
    random: Random,
    send: Send,
) -> TimedGroup[Any]:
    """Compute the results of the arms of a group, and time the arms.

    An arm that fails does not stop the others. Raises Disturbed.
    """
    calls: dict[ArmLabel, TimedCall] = {}
    results: dict[ArmLabel, Any] = {}
    seconds = {arm: job.seconds[arm] for arm in group if arm in job.seconds}
    timed: dict[ArmLabel, TimedArm] = {}
    failures: dict[ArmLabel, str] = {}
    remarks: dict[ArmLabel, list[str]] = {}
    # An earlier process has checked the slow arms; repeating that would take longer than timing them.
    checked = {arm for arm in seconds if seconds[arm] > job.effort.slow_call_seconds}

    def note(arm: ArmLabel, changes: Sequence[str]) -> None:
        known = remarks.setdefault(arm, [])
        known.extend(change for change in changes if change not in known)

    def prepare(arm: ArmLabel) -> None:
        workload = job.workloads[arm]
        try:
            calls[arm] = workload.build()
            watch = SettingsWatch()
            try:
                compute(arm, workload)
            finally:
                note(arm, watch.restore())
        finally:
            functions.require_unchanged()
            functions.extend()
            background.note_new_threads(arm.backend)
            ThreadWatch(job.threads).require_unchanged()

    def compute(arm: ArmLabel, workload: CheckedWorkload) -> None:
        if arm in checked:
            return
        start = time.perf_counter()
        calls[arm], computed = workload.build_and_compute()
        duration = time.perf_counter() - start
        results[arm] = as_plain_data(computed)
        if arm not in seconds:  # in the first process
            require(workload.verify_once())
            # The check includes a call, so its duration shows a slow call without a further one.
            is_slow = duration > job.effort.slow_call_seconds and not workload.compiles
            seconds[arm] = duration if is_slow else calls[arm].estimate_seconds(random)
            if seconds[arm] <= job.effort.slow_call_seconds:
                cache_check.require_no_cache(calls[arm], seconds[arm], random)

    for arm in group:
        send(Starting(arm, "checking"))
        try:
            prepare(arm)
        except (Exception, SystemExit) as error:
            failures[arm] = failure_reason(error)
    observer = _SampleWatch(send, note, functions, ThreadWatch(job.threads), background)
    while ready := [arm for arm in group if arm not in failures]:
        observer.current = ready[0]
        try:
            for arm in ready:  # the check may have passed arguments of other types: compile for the timed ones
                if job.workloads[arm].compiles:
                    observer.preparing(arm)
                    calls[arm].function(*calls[arm].draw(random.getrandbits(63), 1)[0])
            plans = interleave.plan_arms({arm: calls[arm] for arm in ready}, seconds, job.effort)
            timed = interleave.time_interleaved(plans, random, observer)
            break
        except Disturbed as disturbed:  # a failure that is known already says more
            known = (reason for arm, reason in failures.items() if arm.backend == disturbed.backend)
            raise Disturbed(disturbed.backend, next(known, str(disturbed))) from None
        except Exception as error:  # the loop times the remaining arms again without this arm
            background.note_new_threads(observer.current.backend)
            failures[observer.current] = failure_reason(error)
    samples = {arm: timed[arm].samples for arm in timed if arm not in failures}
    records = {arm: timed[arm].records for arm in samples}
    seconds.update((arm, median(sample.seconds for sample in arm_samples)) for arm, arm_samples in samples.items())
    remarks = {arm: changes for arm, changes in remarks.items() if changes}
    return TimedGroup(group, results, records, remarks, seconds, samples, failures)


class Disturbed(Exception):
    """The code of a backend disturbs the others, and the process cannot undo it."""

    def __init__(self, backend: str, reason: str = background_work.REASON):
        super().__init__(reason)
        self.backend = backend


class _SampleWatch(Observer[Any]):
    """Tells the parent about each sample, and notes what its arm changes. ``current`` is the arm of the last sample.

    ``finished`` raises WorkloadError for a change that makes the times wrong, and Disturbed if the threads of another
    arm compute.
    """

    current: ArmLabel

    def __init__(
        self,
        send: Send,
        note: Callable[[ArmLabel, Sequence[str]], None],
        functions: FunctionWatch,
        libraries: ThreadWatch,
        background: BackgroundWork,
    ):
        self._send, self._note = send, note
        self._functions, self._libraries, self._background = functions, libraries, background

    def preparing(self, arm: ArmLabel) -> None:
        self.current = arm
        self._watch = SettingsWatch()
        self._send(Starting(arm, "timing"))

    def starting(self, arm: ArmLabel) -> None:
        self._background.begin()
        self._send(Starting(arm, "timing"))

    def finished(self, arm: ArmLabel, seconds: float) -> None:
        self._send(Finished(arm, seconds))
        disturbing = self._background.end(arm.backend, seconds)
        self._background.note_new_threads(arm.backend)
        if disturbing is not None:
            raise Disturbed(disturbing)
        self._note(arm, self._watch.restore())
        self._functions.require_unchanged()
        self._libraries.require_unchanged()


def main() -> None:
    """Do the job that standard input gives."""
    send = worker_connection.connect_to_parent()
    functions = FunctionWatch("pairbench")  # before the job imports the packages of the code under test
    functions.add_audit_hook()
    job: Job = pickle.load(sys.stdin.buffer)
    try:
        functions.require_unchanged()
    except WorkloadError as error:
        send(Refused(f"the code under test {error} when it is imported"))
        return
    meter = Meter.start()
    match job:
        case TimeJob():
            try:
                time_groups(job, functions, send)
            except Disturbed as disturbed:
                send(Disturbing(disturbed.backend, str(disturbed)))
                return
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
