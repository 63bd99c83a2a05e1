"""The interface of a workload, through which ``pairbench`` times the code under test and checks its results.

A workload is pickled and sent to a fresh process, where it builds the timed call and checks the results of the call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class ArmLabel(Protocol):
    """Identifies one of the alternatives that are timed against each other; hashable and picklable."""

    @property
    def name(self) -> str:
        """The name of the arm, unique in its group."""


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


@dataclass(frozen=True)
class TimedCall:
    """The call that is timed, ``function(argument)``.

    ``outcome`` repeats the call once, with the same objects, and returns the data from which its results are checked.
    """

    function: Callable[[Any], object]
    argument: Any
    outcome: Callable[[], Any]


class Workload(Protocol):
    """Code to time."""

    def build(self) -> TimedCall:
        """Prepare the timed call: import, compile, allocate. An exception is recorded as this workload's failure."""


class CheckedWorkload(Workload, Protocol):
    """A workload that can check its results in the process that times it."""

    @property
    def compiles(self) -> bool:
        """Whether the first calls may compile code, and take longer than later calls."""

    def build_verified(self) -> tuple[TimedCall, CheckResult]:
        """Build the timed call and check its results."""

    def verify_once(self) -> CheckResult:
        """Make the checks that are made in the first process only."""

    def verify_after(self, call: TimedCall) -> CheckResult:
        """Repeat the timed call once after the timing, and check its results."""


def require(evidence: CheckResult) -> None:
    """Raise CheckFailed unless ``evidence.ok``."""
    if not evidence.ok:
        raise CheckFailed(evidence.reason)
