"""One set of fresh processes, a process for each side, that take turns in being timed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import psutil

from bench import correctness
from bench.cases import Case
from bench.proof.expectation import Expectation
from pairbench.gate_protocol import Build, CallOnce, CallOutcome, CheckThreads, Failure, PinToCpu, TimeSample
from pairbench.interleave import balanced_orders, takes_part
from pairbench.worker_processes import Worker, WorkerGone, start_worker
from pairbench.worktrees import check_present

SIDES = ("head", "base", "again")
MODULE = "pairbench.gate_worker"
SAMPLE_SECONDS = 0.001
"""Seconds that a row is timed for at a time; a slower call is timed alone.

Where others want the CPU, a process that was waiting for its turn gets a few milliseconds of it undisturbed: beside two
busy neighbours, sets with stretches of 10, 2 and 1 ms, as long in all, differed by 9, 3.5 and 2.4 %.
"""
TURN_SECONDS = 0.0002
"""Seconds that a turn takes beside what is timed, roughly."""
BUILD_TIMEOUT, CALL_TIMEOUT = 300.0, 60.0
"""Seconds without an answer after which a process is taken for hung: while it may compile, and while it calls."""


@dataclass(frozen=True)
class BackendCase:
    """What gets a verdict: a backend at a case."""

    backend: str
    case: Case

    @property
    def key(self) -> str:
        """Its name in the records."""
        return f"{self.backend}: {self.case}"

    def of(self, backend: str) -> BackendCase:
        """Another backend at the same case."""
        return BackendCase(backend, self.case)


@dataclass(frozen=True)
class RoundPlan:
    """How a row is timed in a set: so many calls at a time, in so many blocks."""

    row: BackendCase
    expectation: Expectation
    loops: int = 1
    blocks: int = 1
    cost: float = 0.0
    """Seconds that all this takes, roughly."""

    @property
    def key(self) -> str:
        """The row's name in the records."""
        return self.row.key

    def request(self) -> Build:
        """The request to build the row's model."""
        case, problem = self.row.case, self.expectation.problem
        network = case.network
        return Build(
            row=self.key,
            backend=self.row.backend,
            layer_sizes=network.layer_sizes,
            hidden=network.hidden,
            output=network.output,
            loss=network.loss,
            operation=case.operation,
            batch=case.batch,
            dtype=case.dtype,
            epochs=case.epochs,
            batches=case.batches,
            parameters=problem.parameters,
            X=problem.X,
            Y=problem.Y,
        )


@dataclass
class RoundResult:
    """What a set gave, by row and side: seconds per call, in the order of the blocks, and what failed."""

    seconds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)

    def fail(self, key: str, side: str, reason: str) -> None:
        """Note what failed; the row gets no times."""
        self.failures.setdefault(key, {}).setdefault(side, reason)
        self.seconds.pop(key, None)


class ProcessDied(Exception):
    """A process ended or hung, and its set is lost."""

    def __init__(self, key: str, side: str, how: str):
        super().__init__(f"its process {how}")
        self.key, self.side = key, side


class RoundProcesses:
    """The processes of a set."""

    def __init__(self, workers: Mapping[str, Worker]):
        self._workers = workers

    def __iter__(self) -> Iterator[str]:
        return iter(self._workers)

    def ask(self, key: str, side: str, request: object, silence: float) -> Any:
        """A process's answer. Raises Died."""
        self.send(side, request)
        return self.receive(key, side, silence)

    def ask_all(self, key: str, requests: Mapping[str, object], silence: float) -> dict[str, Any]:
        """The answers of several processes, which work at the same time. Raises Died."""
        for side, request in requests.items():
            self.send(side, request)
        return {side: self.receive(key, side, silence) for side in requests}

    def pin_to_one_cpu(self, key: str, random: Random) -> None:
        """Hold all to one CPU, any: of two, one may be half as fast as the other for a while. Raises Died."""
        if hasattr(psutil.Process, "cpu_affinity"):
            cpu = random.choice(psutil.Process().cpu_affinity())
            self.ask_all(key, dict.fromkeys(self, PinToCpu(cpu)), CALL_TIMEOUT)

    def last_line(self, side: str) -> str:
        """The last that a process wrote to standard error."""
        return self._workers[side].last_line()

    def send(self, side: str, request: object) -> None:
        """Make a request whose answer is received later."""
        self._workers[side].send(request)

    def receive(self, key: str, side: str, silence: float) -> Any:
        """The answer to the first request that has got none. Raises Died, with the row that it was at."""
        try:
            (reply,) = self._workers[side].receive(silence)
        except WorkerGone as end:
            raise ProcessDied(key, side, str(end)) from None
        except (TypeError, ValueError):
            raise ProcessDied(key, side, "gave an answer that is none") from None
        return reply


@contextmanager
def open_processes(trees: Mapping[str, Path], random: Random) -> Iterator[RoundProcesses]:
    """A fresh process for each side, started together.

    They are started in a random order, so that the first is none of them more often than another. Raises TreeError
    where the sources of one are gone.
    """
    for tree in trees.values():
        check_present(tree)
    with ExitStack() as stack:
        order = random.sample(list(trees), len(trees))
        yield RoundProcesses({side: stack.enter_context(start_worker(MODULE, path=[trees[side]])) for side in order})


def measure_round(trees: Mapping[str, Path], plans: Sequence[RoundPlan], random: Random) -> RoundResult:
    """Build the rows on every side, time them in turn, and judge what the timed calls return.

    Raises Died.
    """
    outcomes = RoundResult()
    with open_processes(trees, random) as sides:
        for plan in plans:
            _note(outcomes, plan, sides.ask_all(plan.key, dict.fromkeys(sides, plan.request()), BUILD_TIMEOUT))
            if plan.key not in outcomes.failures:
                outcomes.seconds[plan.key] = {side: [] for side in sides}
        sides.pin_to_one_cpu(plans[0].key, random)
        _time(sides, plans, random, outcomes)
        for plan in plans:
            if plan.key in outcomes.seconds:
                _judge(sides, plan, outcomes)
        _note_threads(sides, plans, outcomes)
    return outcomes


def _time(sides: RoundProcesses, plans: Sequence[RoundPlan], random: Random, outcomes: RoundResult) -> None:
    """Block by block, row by row, the sides in an order that is random and balanced."""
    most = max(plan.blocks for plan in plans)
    names = list(sides)
    order_of = {plan.key: balanced_orders(len(names), random) for plan in plans}
    for block in range(most):
        for plan in random.sample(list(plans), len(plans)):
            if not takes_part(block, plan.blocks, most):
                continue
            for place in next(order_of[plan.key]):
                if plan.key not in outcomes.seconds:
                    break
                side = names[place]
                reply = sides.ask(plan.key, side, TimeSample(plan.key, plan.loops), CALL_TIMEOUT)
                if isinstance(reply, Failure):
                    outcomes.fail(plan.key, side, reply.reason)
                else:
                    outcomes.seconds[plan.key][side].append(reply)


def _judge(sides: RoundProcesses, plan: RoundPlan, outcomes: RoundResult) -> None:
    """One more of the timed calls on each side must be right."""
    replies = sides.ask_all(plan.key, {side: CallOnce(plan.key) for side in sides}, CALL_TIMEOUT)
    _note(outcomes, plan, replies)
    for side, reply in replies.items():
        if isinstance(reply, CallOutcome):
            try:
                correctness.require(
                    correctness.judge_result(plan.row.case, plan.expectation, reply.result, reply.before, reply.after)
                )
            except Exception as error:  # what a backend returns may be anything
                outcomes.fail(plan.key, side, str(error))


def _note(outcomes: RoundResult, plan: RoundPlan, replies: Mapping[str, Any]) -> None:
    for side, reply in replies.items():
        if isinstance(reply, Failure):
            outcomes.fail(plan.key, side, reply.reason)


def _note_threads(sides: RoundProcesses, plans: Sequence[RoundPlan], outcomes: RoundResult) -> None:
    """A library that takes more threads than it was told spoils the times of all rows of its side."""
    for side in sides:
        reply = sides.ask(plans[-1].key, side, CheckThreads(), CALL_TIMEOUT)
        if isinstance(reply, Failure):
            for plan in plans:
                outcomes.fail(plan.key, side, reply.reason)
