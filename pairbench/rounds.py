"""Measures a round: a fresh process for each side, all timed in turn."""

from __future__ import annotations

__all__ = [
    "BUILD_TIMEOUT",
    "CALL_TIMEOUT",
    "SIDES",
    "ProcessDied",
    "RoundPlan",
    "RoundProcesses",
    "fork_servers",
    "measure_round",
    "open_processes",
]

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Protocol

from pairbench import clock_check, judged_samples, machine
from pairbench.clock_check import ClockReading
from pairbench.forked_processes import ForkServer, ForkServers, StartingServer
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
from pairbench.worker_processes import Worker, WorkerGone
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


class SourceTree(Protocol):
    """The sources of a side."""

    def check_present(self) -> None:
        """Raise WorktreeError if the sources were removed."""

    def serve(self, libraries: Sequence[str]) -> AbstractContextManager[StartingServer]:
        """Start a fork server that imports these libraries, for the processes of all sides."""

    def start(self, server: ForkServer | None = None) -> AbstractContextManager[Worker]:
        """Start a fresh process that runs these sources, and answers the requests of ``gate_protocol``."""


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


class ProcessDied(Exception):
    """A process of a round ended or hung; the round has no result."""

    def __init__(self, key: str, side: str, how: str):
        super().__init__(f"the worker process {how}")
        self.key, self.side = key, side


class RoundProcesses:
    """The processes of a round, by side."""

    def __init__(self, workers: Mapping[str, Worker]):
        self._workers = workers

    def __iter__(self) -> Iterator[str]:
        return iter(self._workers)

    def ask(self, key: str, side: str, request: object, timeout: float) -> Any:
        """Send a request to a process and return the answer. Raises ProcessDied."""
        self.send(side, request)
        return self.receive(key, side, timeout)

    def ask_all(self, key: str, requests: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """Send requests to several processes, which work in parallel, and return the answers. Raises ProcessDied."""
        for side, request in requests.items():
            self.send(side, request)
        return {side: self.receive(key, side, timeout) for side in requests}

    def pin_to_one_cpu(self, random: Random) -> None:
        """Pin all processes to the same CPU, drawn at random.

        Two CPUs of a virtual machine may differ in speed by a factor of two for seconds.
        """
        if cpus := machine.affinity():
            cpu = random.choice(cpus)
            for worker in self._workers.values():
                worker.pin(cpu)

    def last_line(self, side: str) -> str:
        """The last line that a process wrote to standard error."""
        return self._workers[side].last_line()

    def arrived(self, side: str) -> float:
        """When the last message of a process arrived, by this process's clock."""
        return self._workers[side].arrived

    def send(self, side: str, request: object) -> None:
        """Send a request without waiting for the answer."""
        self._workers[side].send(request)

    def receive(self, key: str, side: str, timeout: float) -> Any:
        """Receive the answer to the oldest unanswered request. Raises ProcessDied, with ``key`` as the row."""
        try:
            (reply,) = self._workers[side].receive(timeout)
        except WorkerGone as end:
            raise ProcessDied(key, side, str(end)) from None
        except (TypeError, ValueError):
            raise ProcessDied(key, side, "sent an invalid answer") from None
        return reply


def fork_servers(trees: Mapping[str, SourceTree], libraries: Sequence[str]) -> ForkServers:
    """The fork servers of rounds of these sides: each imports the ``libraries``, which are those of a trial round."""
    return ForkServers(partial(next(iter(trees.values())).serve, libraries) if libraries else None)


@contextmanager
def open_processes(
    trees: Mapping[str, SourceTree], random: Random, servers: ForkServers | None = None
) -> Iterator[RoundProcesses]:
    """Start a fresh process for each side, in a random order, so that no side is first more often than another.

    The next of the ``servers`` forks the processes. Raises WorktreeError if the sources of a side were removed.
    """
    for tree in trees.values():
        tree.check_present()
    with ExitStack() as stack:
        server = stack.enter_context(servers.take()) if servers is not None else None
        order = random.sample(list(trees), len(trees))
        yield RoundProcesses({side: stack.enter_context(trees[side].start(server)) for side in order})


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
    for side in processes:
        reply = processes.ask(plans[-1].key, side, CheckThreads(), CALL_TIMEOUT)
        if isinstance(reply, Failure):
            for plan in plans:
                result.fail(plan.key, side, reply.reason)
