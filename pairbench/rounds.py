"""Measures a round: all sides in turn, each in its fresh process."""

from __future__ import annotations

__all__ = ["BUILD_TIMEOUT", "CALL_TIMEOUT", "SIDES", "RoundPlan", "measure_round"]

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from pairbench import clock_check, judged_samples
from pairbench.clock_check import ClockReading
from pairbench.forked_processes import ForkServers
from pairbench.gate_protocol import (
    Build,
    CheckCache,
    CheckThreads,
    CollectResults,
    Failure,
    ListLibraries,
    PrepareSample,
    TimeSample,
)
from pairbench.interleave import balanced_orders, takes_part
from pairbench.round_processes import RoundProcesses, SourceTree, open_processes
from pairbench.workload import (
    CheckResult,
    JudgedSample,
    SamplePlan,
    Workload,
    WorkloadError,
    find_wrong_result,
)

SIDES = ("head", "base", "control")
"""The control has the same sources as the base, in a separate worktree; it is the gate's A/A control."""
TURN_SECONDS = 0.003
"""Rough overhead of a sample, in addition to the timed calls."""
BUILD_TIMEOUT, CALL_TIMEOUT = 300.0, 60.0
"""Seconds without an answer after which a process counts as hung: while building, and while calling."""


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """How a row is timed in a round: ``loops`` calls per sample, one sample of each side in each of ``blocks`` blocks.

    ``key``: name of the row in the records. ``judge``: function from a sample with judged calls to its evidence.
    ``has_state``: whether the calls change a state. ``call_seconds``: rough seconds per call.
    """

    key: str
    workload: Workload
    judge: Callable[[JudgedSample], CheckResult]
    has_state: bool = False
    loops: int = 1
    blocks: int = 1
    call_seconds: float = 0.0


@dataclass
class RoundResult:
    """Result of a round, by row and side: seconds per call in the order of the blocks, and reasons of failures.

    ``libraries`` are the modules that later rounds may import before their processes are forked.
    """

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)

    def fail(self, key: str, side: str, reason: str) -> None:
        """Record a failure and drop the row's times."""
        self.failures.setdefault(key, {}).setdefault(side, reason)
        self.seconds.pop(key, None)


def measure_round(
    trees: Mapping[str, SourceTree], plans: Sequence[RoundPlan], random: Random, servers: ForkServers | None = None
) -> RoundResult:
    """Build the rows on every side, time the sides in turn, and judge calls of the samples.

    While the sides build, which is not timed, the next of the ``servers`` imports. Raises ProcessDied and
    WorktreeError.
    """
    servers = servers or ForkServers()
    with open_processes(trees, random, servers) as processes:
        servers.start_next()
        result = _build_rows(processes, plans)
        servers.await_next()
        processes.pin_to_one_cpu(random)
        return _time_and_check(processes, plans, random, result)


def measure_trial_round(trees: Mapping[str, SourceTree], plans: Sequence[RoundPlan], random: Random) -> RoundResult:
    """Measure a round whose times do not count, and look for calls that answer repeated inputs from a cache.

    Raises ProcessDied and WorktreeError.
    """
    with open_processes(trees, random) as processes:
        result = _build_rows(processes, plans)
        for plan in plans:
            if plan.key in result.seconds:
                requests = dict.fromkeys(processes, CheckCache(plan.key))
                _note_failures(result, plan, processes.ask_all(plan.key, requests, CALL_TIMEOUT))
        result = _time_and_check(processes, plans, random, result)
        loaded = [processes.ask(plans[-1].key, side, ListLibraries(), CALL_TIMEOUT) for side in processes]
        common = set.intersection(*map(set, loaded))
        result.libraries = [name for name in loaded[0] if name in common]
        return result


def _build_rows(processes: RoundProcesses, plans: Sequence[RoundPlan]) -> RoundResult:
    """Build the rows on every side; the result has no times yet."""
    result = RoundResult()
    for plan in plans:
        requests = dict.fromkeys(processes, Build(plan.key, plan.workload))
        _note_failures(result, plan, processes.ask_all(plan.key, requests, BUILD_TIMEOUT))
        if plan.key not in result.failures:
            result.seconds[plan.key] = {side: [] for side in processes}
    return result


def _time_and_check(
    processes: RoundProcesses, plans: Sequence[RoundPlan], random: Random, result: RoundResult
) -> RoundResult:
    _time_rows(processes, plans, random, result)
    _check_threads(processes, plans, result)
    return result


class _TimedSide:
    """One side of a row in a round: the judged calls of its coming samples, its records and its clock readings."""

    def __init__(self, plan: RoundPlan, seeds: Sequence[int], random: Random):
        self.judged = iter(judged_samples.choose_judged_calls(random, seeds, plan.blocks, plan.loops, plan.has_state))
        self.records: list[JudgedSample] = []
        self.readings: list[ClockReading] = []

    def take_sample(self, processes: RoundProcesses, plan: RoundPlan, side: str, seed: int) -> float:
        """Take a sample and return the seconds per call. Raises WorkloadError if the code under test fails."""
        sample_plan = SamplePlan(seed, plan.loops, next(self.judged))
        sent = time.perf_counter()
        for request in (PrepareSample(plan.key, sample_plan), TimeSample(), CollectResults()):
            processes.send(side, request)
        replies, arrivals = [], []
        for _ in range(3):
            replies.append(processes.receive(plan.key, side, CALL_TIMEOUT))
            arrivals.append(processes.arrived(side))
        for reply in replies:
            if isinstance(reply, Failure):
                raise WorkloadError(reply.reason)
        _, taken, record = replies
        self.readings.append(ClockReading(side, taken.total_seconds, arrivals[1] - arrivals[0], arrivals[1] - sent))
        if sample_plan.judged:
            self.records.append(record)
        return float(taken.seconds)


def _time_rows(processes: RoundProcesses, plans: Sequence[RoundPlan], random: Random, result: RoundResult) -> None:
    """Take the samples, and judge them when all are taken.

    In each block the rows are timed in random order, for each row the sides in random, balanced order.
    """
    total_blocks = max(plan.blocks for plan in plans)
    sides = list(processes)
    orders = {plan.key: balanced_orders(len(sides), random) for plan in plans}
    # All sides and rows share the arguments of the judged calls, so that each right result is computed once.
    seeds = [random.getrandbits(63) for _ in range(judged_samples.JUDGED_CALLS)]
    timed = {(plan.key, side): _TimedSide(plan, seeds, random) for plan in plans for side in sides}
    for block in range(total_blocks):
        for plan in random.sample(list(plans), len(plans)):
            if not takes_part(block, plan.blocks, total_blocks):
                continue
            for index in next(orders[plan.key]):
                if plan.key not in result.seconds:
                    break
                side = sides[index]
                try:
                    seconds = timed[plan.key, side].take_sample(processes, plan, side, random.getrandbits(63))
                except WorkloadError as error:
                    result.fail(plan.key, side, str(error))
                else:
                    result.seconds[plan.key][side].append(seconds)
    for plan in plans:
        for side in sides:
            others = [other for place, other in timed.items() if place != (plan.key, side)]
            if plan.key in result.seconds and (reason := _find_fault(plan, timed[plan.key, side], others)):
                result.fail(plan.key, side, reason)


def _find_fault(plan: RoundPlan, timed: _TimedSide, others: Sequence[_TimedSide]) -> str:
    """Why the samples of a side are not accepted, in one line; empty if they are."""
    wrong = find_wrong_result(partial(plan.judge, record) for record in timed.records)
    return wrong or clock_check.disagreement(timed.readings, [one for other in others for one in other.readings])


def _note_failures(result: RoundResult, plan: RoundPlan, replies: Mapping[str, Any]) -> None:
    for side, reply in replies.items():
        if isinstance(reply, Failure):
            result.fail(plan.key, side, reply.reason)


def _check_threads(processes: RoundProcesses, plans: Sequence[RoundPlan], result: RoundResult) -> None:
    """Fail all rows if a library uses more threads than allowed, because its threads disturb every row of the round."""
    replies = processes.ask_all(plans[-1].key, dict.fromkeys(processes, CheckThreads()), CALL_TIMEOUT)
    for plan in plans:
        _note_failures(result, plan, replies)
