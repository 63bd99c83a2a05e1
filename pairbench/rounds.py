"""Measures a round: a fresh process for each side, all timed in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pairbench import machine
from pairbench.gate_protocol import Build, CallOnce, CheckThreads, Failure, PinToCpu, TimeSample
from pairbench.interleave import balanced_orders, takes_part
from pairbench.worker_processes import Worker, WorkerGone, start_worker
from pairbench.workload import CheckResult, Workload, require
from pairbench.worktrees import Worktree

SIDES = ("head", "base", "control")
"""The control has the same sources as the base, in a separate worktree; it is the gate's A/A control."""
MODULE = "pairbench.gate_worker"
TURN_SECONDS = 0.0002
"""Rough overhead of a sample, in addition to the timed calls."""
BUILD_TIMEOUT, CALL_TIMEOUT = 300.0, 60.0
"""Seconds without an answer after which a process counts as hung: while building, and while calling."""


@dataclass(frozen=True, kw_only=True)
class RoundPlan:
    """How a row is timed in a round: ``loops`` calls per sample, one sample of each side in each of ``blocks`` blocks.

    ``key``: name of the row in the records. ``judge``: function from the outcome of a timed call to its evidence.
    ``cost``: rough seconds that the samples of a round take, over all sides.
    """

    key: str
    workload: Workload
    judge: Callable[[Any], CheckResult]
    loops: int = 1
    blocks: int = 1
    cost: float = 0.0


@dataclass
class RoundResult:
    """Result of a round, by row and side: seconds per call in the order of the blocks, and reasons of failures."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

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

    def pin_to_one_cpu(self, key: str, random: Random) -> None:
        """Pin all processes to the same CPU, drawn at random. Raises ProcessDied.

        Two CPUs of a virtual machine may differ in speed by a factor of two for seconds.
        """
        if cpus := machine.affinity():
            cpu = random.choice(cpus)
            self.ask_all(key, dict.fromkeys(self, PinToCpu(cpu)), CALL_TIMEOUT)

    def last_line(self, side: str) -> str:
        """The last line that a process wrote to standard error."""
        return self._workers[side].last_line()

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


@contextmanager
def open_processes(worktrees: Mapping[str, Worktree], random: Random) -> Iterator[RoundProcesses]:
    """Start a fresh process for each side, in a random order, so that no side is first more often than another.

    Raises WorktreeError if the sources of a side were removed.
    """
    for worktree in worktrees.values():
        worktree.check_present()
    with ExitStack() as stack:
        workers = {}
        for side in random.sample(list(worktrees), len(worktrees)):
            worktree = worktrees[side]
            workers[side] = stack.enter_context(start_worker(MODULE, worktree.package, path=[worktree.path]))
        yield RoundProcesses(workers)


def measure_round(worktrees: Mapping[str, Worktree], plans: Sequence[RoundPlan], random: Random) -> RoundResult:
    """Build the rows on every side, time the sides in turn, and check the results of the timed calls.

    Raises ProcessDied and WorktreeError.
    """
    result = RoundResult()
    with open_processes(worktrees, random) as processes:
        for plan in plans:
            request = Build(plan.key, plan.workload)
            _note_failures(result, plan, processes.ask_all(plan.key, dict.fromkeys(processes, request), BUILD_TIMEOUT))
            if plan.key not in result.failures:
                result.seconds[plan.key] = {side: [] for side in processes}
        processes.pin_to_one_cpu(plans[0].key, random)
        _time_rows(processes, plans, random, result)
        for plan in plans:
            if plan.key in result.seconds:
                _judge_row(processes, plan, result)
        _check_threads(processes, plans, result)
    return result


def _time_rows(processes: RoundProcesses, plans: Sequence[RoundPlan], random: Random, result: RoundResult) -> None:
    """Take the samples: in each block the rows in random order, for each row the sides in random, balanced order."""
    total_blocks = max(plan.blocks for plan in plans)
    sides = list(processes)
    orders = {plan.key: balanced_orders(len(sides), random) for plan in plans}
    for block in range(total_blocks):
        for plan in random.sample(list(plans), len(plans)):
            if not takes_part(block, plan.blocks, total_blocks):
                continue
            for index in next(orders[plan.key]):
                if plan.key not in result.seconds:
                    break
                side = sides[index]
                reply = processes.ask(plan.key, side, TimeSample(plan.key, plan.loops), CALL_TIMEOUT)
                if isinstance(reply, Failure):
                    result.fail(plan.key, side, reply.reason)
                else:
                    result.seconds[plan.key][side].append(reply)


def _judge_row(processes: RoundProcesses, plan: RoundPlan, result: RoundResult) -> None:
    """Repeat the timed call once on each side and check the result."""
    replies = processes.ask_all(plan.key, {side: CallOnce(plan.key) for side in processes}, CALL_TIMEOUT)
    _note_failures(result, plan, replies)
    for side, reply in replies.items():
        if not isinstance(reply, Failure):
            try:
                require(plan.judge(reply))
            except Exception as error:  # the judge may raise anything on an unexpected result
                result.fail(plan.key, side, str(error))


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
