"""What the gate and its measuring processes say to each other: a request, then a list that holds the answer.

A process may run another revision of the code under test, whose classes are not this one's. So what is sent is plain
data, functions and workloads of the harness.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pairbench.workload import Workload


@dataclass(frozen=True)
class CallFunction:
    """Call a function that a module of the harness holds. Answer: what it returns, or a Failure."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Build:
    """Make a row's call ready to be timed. Answer: None, or a Failure.

    ``delay_steps``: length of the delay that is planted in the call; None: no delay, and no room for one.
    """

    row: str
    workload: Workload
    delay_steps: int | None = None


@dataclass(frozen=True)
class TimeSample:
    """Time so many calls of a row. Answer: seconds per call, or a Failure."""

    row: str
    loops: int


@dataclass(frozen=True)
class CallOnce:
    """Make one more of the calls that were timed. Answer: the outcome of the TimedCall, or a Failure."""

    row: str


@dataclass(frozen=True)
class PinToCpu:
    """Run on this CPU from now on, and on no other. Answer: None, or a Failure."""

    cpu: int


@dataclass(frozen=True)
class CheckThreads:
    """Check the libraries' thread counts. Answer: None, or a Failure."""


@dataclass(frozen=True)
class BurnCpu:
    """Keep a CPU busy until the process is killed. There is no answer."""


@dataclass(frozen=True)
class Failure:
    """The request failed; the text says how, in one line."""

    reason: str
