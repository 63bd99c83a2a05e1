"""Messages between the gate and its worker processes: the gate sends a request, the worker a list with the answer.

A worker may import another revision of the code under test, with other classes than the gate's process. Messages
therefore contain only plain data, and functions and workloads of the harness.
"""

from __future__ import annotations

__all__ = ["Build", "BurnCpu", "CallFunction", "Failure", "PrepareSample", "TimeSample"]

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pairbench.workload import SamplePlan, Workload

MODULE = "pairbench.gate_worker"
"""The module that a worker process runs."""


@dataclass(frozen=True)
class CallFunction:
    """Call a module-level function of the harness. Answer: the function's return value, or a Failure."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Build:
    """Build the call of a row, so that it can be timed. Answer: None, or a Failure.

    ``delay_steps``: number of iterations of the delay loop that is added to the call. With None the call is timed
    without a wrapper function; with 0 the wrapper is there and its loop is empty.
    """

    row: str
    workload: Workload
    delay_steps: int | None = None


@dataclass(frozen=True)
class CheckCache:
    """Check that the call of a row does not answer repeated inputs from a cache. Answer: None, or a Failure."""

    row: str


@dataclass(frozen=True)
class PrepareSample:
    """Draw the arguments of a sample of a row, and warm up its code. Answer: None, or a Failure."""

    row: str
    plan: SamplePlan


@dataclass(frozen=True)
class TimeSample:
    """Time the prepared sample. Answer: a SampleTime, or a Failure."""


@dataclass(frozen=True)
class CollectResults:
    """Answer: the JudgedSample of the sample that was timed last, or a Failure."""


@dataclass(frozen=True)
class CheckThreads:
    """Check that the libraries use one thread each, and all modules are the side's own. Answer: None, or a Failure."""


@dataclass(frozen=True)
class ListLibraries:
    """Answer: the names of the imported modules that are installed or belong to Python, in the order of import."""


@dataclass(frozen=True)
class BurnCpu:
    """Keep a CPU busy until the process is killed. There is no answer."""


@dataclass(frozen=True)
class Failure:
    """Answer to a request that failed; ``reason`` explains the failure in one line."""

    reason: str
