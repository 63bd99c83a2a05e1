"""A workload: what a measuring process times. It is all that the instrument knows of the code under test.

A workload is pickled into a fresh process. There it builds the call that is timed, and judges what the call returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Arm(Protocol):
    """The label of one of the things that are timed against each other; hashable, and picklable."""

    @property
    def name(self) -> str:
        """Its name, unique in its group."""


class Evidence(Protocol):
    """The outcome of a check of results."""

    @property
    def ok(self) -> bool:
        """Whether the results are right."""

    @property
    def reason(self) -> str:
        """What is wrong, in one line; empty where nothing is."""


class WorkloadError(Exception):
    """A workload that cannot be timed; the text says why in one line."""


class CheckFailed(WorkloadError):
    """A workload whose results are wrong; the text says how in one line."""


@dataclass(frozen=True)
class TimedCall:
    """The call that is timed, ``function(argument)``.

    ``outcome`` makes the same call once more, with the same objects, and returns what a judge needs to see of it.
    """

    function: Callable[[Any], object]
    argument: Any
    outcome: Callable[[], Any]


class Workload(Protocol):
    """Code to time."""

    def build(self) -> TimedCall:
        """Make the call ready: import, compile, allocate. What it raises is a finding about this workload."""


class CheckedWorkload(Workload, Protocol):
    """A workload that can prove itself right in the process that times it."""

    @property
    def compiles(self) -> bool:
        """Whether the first calls may compile, so that their duration says nothing about later ones."""

    def build_verified(self) -> tuple[TimedCall, Evidence]:
        """Build the call and prove it right before it is timed."""

    def verify_once(self) -> Evidence:
        """Check what need not be checked again in every process."""

    def verify_after(self, call: TimedCall) -> Evidence:
        """Judge one more of the timed calls, after the timing."""


def require(evidence: Evidence) -> None:
    """Raise CheckFailed unless the evidence is good."""
    if not evidence.ok:
        raise CheckFailed(evidence.reason)
