"""The interface of a workload, through which ``pairbench`` times the code under test and checks its results.

A workload is pickled and sent to a fresh process, where it builds the timed call. A judge stays in the parent and
checks the results.
"""

from __future__ import annotations

__all__ = [
    "ArmLabel",
    "CheckFailed",
    "CheckResult",
    "CheckedWorkload",
    "Judge",
    "JudgedSample",
    "OtherObject",
    "SamplePlan",
    "TimedCall",
    "Workload",
    "WorkloadError",
    "require",
]

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from random import Random
from typing import Any, Protocol

from pairbench import timer
from pairbench.error_text import describe_error
from pairbench.timer import Arguments

POOL = 256
"""Number of different arguments in a sample, more than a small cache holds. To draw more takes as long as to time."""


class ArmLabel(Protocol):
    """Identifies one of the alternatives that are timed against each other; hashable and picklable."""

    @property
    def name(self) -> str:
        """The name of the arm, unique in its group."""

    @property
    def backend(self) -> str:
        """The name of the code under test. An A/A control has that of the arm whose code it runs."""


class CheckResult(Protocol):
    """The outcome of a check of a workload's results."""

    @property
    def ok(self) -> bool:
        """Whether the results are right."""

    @property
    def reason(self) -> str:
        """The error in the results, in one line; empty if the results are right."""


class WorkloadError(Exception):
    """A workload cannot be timed; the message explains why in one line."""


class CheckFailed(WorkloadError):
    """The results of a workload are wrong; the message describes the error in one line."""


def no_state() -> None:
    """The state of a call that changes nothing."""


@dataclass(frozen=True)
class TimedCall:
    """The call that is timed, ``function(*arguments)``, with new arguments for every call.

    ``draw(seed, count)`` returns the arguments of a number of calls; the same seed gives the same arguments. ``state``
    returns a copy of what the calls change, such as the parameters that a training updates.
    """

    function: Callable[..., object]
    draw: Callable[[int, int], list[Arguments]]
    state: Callable[[], Any] = no_state

    @property
    def has_state(self) -> bool:
        """Whether a call changes what later calls do."""
        return self.state is not no_state

    def estimate_seconds(self, random: Random) -> float:
        """Rough seconds per call, with new arguments; see ``timer.estimate_seconds``."""
        return timer.estimate_seconds(self.function, lambda count: self.draw(random.getrandbits(63), count))


class Workload(Protocol):
    """Code to time."""

    def build(self) -> TimedCall:
        """Prepare the timed call: import, compile, allocate. An exception is recorded as this workload's failure."""


@dataclass(frozen=True)
class SamplePlan:
    """A sample of ``loops`` calls. ``judged`` has, by position, the seeds of the arguments of the judged calls.

    ``seed`` gives the arguments of the other calls, which repeat after ``POOL`` calls.
    """

    seed: int
    loops: int
    judged: Mapping[int, int] = field(default_factory=dict)

    def arguments(self, draw: Callable[[int, int], list[Arguments]]) -> list[Arguments]:
        """The arguments of all calls, drawn with ``draw(seed, count)``."""
        pool = draw(self.seed, min(self.loops, POOL))
        # So that the addresses of the arrays are in no order. Sorting takes a third of the time of ``Random.shuffle``.
        random = Random(self.seed)
        keys = [random.random() for _ in pool]
        order = sorted(range(len(pool)), key=keys.__getitem__)
        drawn = list(islice(cycle(map(pool.__getitem__, order)), self.loops))
        for position, seed in self.judged.items():
            (drawn[position],) = draw(seed, 1)
        return drawn


@dataclass(frozen=True)
class JudgedSample:
    """What the judge needs: the results of the judged calls, in the order of the calls, and the states around them."""

    plan: SamplePlan
    results: list[Any]
    before: Any
    after: Any


@dataclass(frozen=True)
class OtherObject:
    """Stands for a result that is neither a number, a text, an array, nor a list or tuple of these."""

    type_name: str


class CheckedWorkload(Workload, Protocol):
    """A workload whose results are computed, and checked by a ``Judge``, before it is timed."""

    @property
    def compiles(self) -> bool:
        """Whether the first calls may compile code, and take longer than later calls."""

    def build_and_compute(self) -> tuple[TimedCall, Any]:
        """Build the timed call, and compute the results that ``Judge.judge_results`` compares."""

    def verify_once(self) -> CheckResult:
        """Make the checks that are made in the first process only, in the process of the code under test."""


class Judge(Protocol):
    """Compares the results of a workload with the right ones. It works in the parent, out of reach of the workload."""

    def judge_results(self, results: Any) -> CheckResult:
        """Judge the results that ``build_and_compute`` returned."""

    def judge_sample(self, record: JudgedSample) -> CheckResult:
        """Judge the calls of a sample."""


def require(evidence: CheckResult) -> None:
    """Raise CheckFailed unless ``evidence.ok``."""
    if not evidence.ok:
        raise CheckFailed(evidence.reason)


def find_wrong_result(checks: Iterable[Callable[[], CheckResult]]) -> str:
    """Why results are not accepted, in one line, by the first check that fails; empty if all succeed."""
    try:
        for check in checks:
            require(check())
    except CheckFailed as failure:
        return str(failure)
    except Exception as error:  # a judge may raise anything on an unexpected result
        return f"its results cannot be compared: {describe_error(error)}"
    return ""


def failure_reason(error: BaseException) -> str:
    """The reason of a failure, in one line."""
    return str(error) if isinstance(error, WorkloadError) else describe_error(error)
