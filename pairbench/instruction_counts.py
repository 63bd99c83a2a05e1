"""Counts the instructions of a call in the head and in the base, each in processes of its own worktree.

No clock takes part, so both sides are counted at the same time, and other processes on the machine do not matter.
"""

from __future__ import annotations

__all__ = ["CallCount", "CountPlan", "count_bytecode", "count_machine_instructions"]

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pairbench import bytecode, call_copies, valgrind
from pairbench.gate_protocol import MODULE, CallFunction, Failure
from pairbench.round_processes import ProcessDied, RoundProcesses
from pairbench.valgrind import CountMissing
from pairbench.worker_processes import Worker, start_worker
from pairbench.workload import Workload
from pairbench.worktrees import Worktree

SIDES = ("base", "head")
SEED = 0
"""Gives the arguments of the calls, the same on both sides."""
MOST_CALLS = 64
"""Most calls of a process under Valgrind."""
TIMEOUT = 300.0
"""Seconds without an answer after which a process hangs; importing Numba under Valgrind takes half a minute."""
FIXED_HASHES = {"PYTHONHASHSEED": "0"}
STARTED_IN = Path("/proc/self/cwd")
"""On Linux, the name of its current folder for every process.

A count under Valgrind calls the worktrees by this name. Names of their own would be other texts with other hashes, and
the counts of equal sources differed by up to 0.3 %.
"""
CACHE = STARTED_IN / ".counts"
"""Folder for what Numba compiles for Valgrind, apart from the code that is timed."""


@dataclass(frozen=True, kw_only=True)
class CountPlan:
    """A call to count; ``loops`` is the number of calls in a timed sample, by which a short call is counted often."""

    key: str
    workload: Workload
    loops: int

    @property
    def numbers(self) -> tuple[int, int]:
        """The numbers of calls of two processes, the difference of whose counts counts."""
        more = max(2, min(MOST_CALLS, 2 * self.loops))
        return more // 2, more


@dataclass(frozen=True)
class CallCount:
    """The instructions of a call of a row, by side, or the reason why there are none, in one line."""

    key: str
    by_side: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""


def count_bytecode(worktrees: Mapping[str, Worktree], plans: Sequence[CountPlan]) -> Iterator[CallCount]:
    """The bytecode instructions of one call of each row, with equal arguments on both sides. Raises WorktreeError."""

    def request(plan: CountPlan) -> CallFunction:
        return CallFunction(bytecode.count_call, (plan.workload, SEED))

    def read(answer: Any, plan: CountPlan) -> float:
        return _whole_number(answer)

    return _ask_each(partial(_open, worktrees, _start), plans, request, read)


def count_machine_instructions(worktrees: Mapping[str, Worktree], plans: Sequence[CountPlan]) -> Iterator[CallCount]:
    """The machine instructions of a call of each row under Valgrind, the mean over some calls. Raises WorktreeError.

    There must be no ``valgrind.obstacle``.
    """
    compiled = []
    for count in _ask_each(partial(_open, worktrees, _start_pinned), plans, _build_request, lambda answer, plan: 0.0):
        if count.reason:
            yield count
        else:
            compiled.append(count.key)
    with tempfile.TemporaryDirectory(prefix="pairbench-counts-") as name:
        folder = Path(name)

        def request(plan: CountPlan) -> CallFunction:
            return CallFunction(call_copies.call_in_copies, (plan.workload, SEED, plan.numbers))

        def read(answer: Any, plan: CountPlan) -> float:
            if not isinstance(answer, list) or len(answer) != len(plan.numbers):
                raise CountMissing("sent an invalid answer")
            (fewer, few_count), (more, more_count) = (
                (number, valgrind.read_count(folder, _whole_number(process)))
                for number, process in zip(plan.numbers, answer, strict=True)
            )
            return (more_count - few_count) / (more - fewer)

        ready = [plan for plan in plans if plan.key in compiled]
        start = partial(_start_pinned, prefix=valgrind.command(folder))
        yield from _ask_each(partial(_open, worktrees, start), ready, request, read)


def build(workload: Workload) -> None:
    """In a worker process: build a call, so that its code is compiled and cached."""
    workload.build()


def _build_request(plan: CountPlan) -> CallFunction:
    return CallFunction(build, (plan.workload,))


def _whole_number(answer: Any) -> int:
    if type(answer) is not int or answer < 0:
        raise CountMissing("sent an invalid answer")
    return answer


def _ask_each(
    open_processes: Callable[[], AbstractContextManager[RoundProcesses]],
    plans: Sequence[CountPlan],
    request: Callable[[CountPlan], CallFunction],
    read: Callable[[Any, CountPlan], float],
) -> Iterator[CallCount]:
    """The count that ``read`` makes of each answer to a row's request. A process that dies costs only its row."""
    remaining = list(plans)
    while remaining:
        with open_processes() as processes:
            while remaining:
                plan = remaining.pop(0)
                try:
                    answers = processes.ask_all(plan.key, dict.fromkeys(processes, request(plan)), TIMEOUT)
                except ProcessDied as death:
                    yield CallCount(plan.key, reason=f"{death.side}: {death}")
                    break
                yield _read_answers(plan, answers, read)


def _read_answers(plan: CountPlan, answers: Mapping[str, Any], read: Callable[[Any, CountPlan], float]) -> CallCount:
    by_side = {}
    for side, answer in answers.items():
        if isinstance(answer, Failure):
            return CallCount(plan.key, reason=f"{side}: {answer.reason}")
        try:
            by_side[side] = read(answer, plan)
        except CountMissing as error:
            return CallCount(plan.key, reason=f"{side}: {error}")
    return CallCount(plan.key, by_side)


def _start(worktree: Worktree) -> AbstractContextManager[Worker]:
    return start_worker(MODULE, worktree.package, variables=FIXED_HASHES, path=[worktree.path])


def _start_pinned(worktree: Worktree, prefix: Sequence[str] = ()) -> AbstractContextManager[Worker]:
    variables = {**FIXED_HASHES, **valgrind.PINNED, "NUMBA_CACHE_DIR": str(CACHE)}
    return start_worker(
        MODULE,
        worktree.package,
        variables=variables,
        path=[STARTED_IN],
        prefix=prefix,
        start_in=worktree.path,
    )


@contextmanager
def _open(
    worktrees: Mapping[str, Worktree], start: Callable[[Worktree], AbstractContextManager[Worker]]
) -> Iterator[RoundProcesses]:
    """Start a fresh process for each side. Raises WorktreeError if the sources of a side were removed."""
    for side in SIDES:
        worktrees[side].check_present()
    with ExitStack() as stack:
        yield RoundProcesses({side: stack.enter_context(start(worktrees[side])) for side in SIDES})
