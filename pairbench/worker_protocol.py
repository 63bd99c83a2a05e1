"""What the measuring parent and a worker process say to each other, as pickles over the worker's pipes.

The parent sends one job. The worker says where it is before each step (``At``), so that the parent can name
what a process died of, then answers with results; ``Done`` is the last.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.cases import Case
from bench.proof.expectation import Expectation
from bench.proof.targets import Evidence
from pairbench.machine import Conditions
from pairbench.threads import Pool


@dataclass(frozen=True)
class Arm:
    """One of the things timed against each other: a backend at a case. ``name`` is unique among them.

    The case is the arm's own: a reference without float32 runs beside float32 arms in float64.
    """

    name: str
    backend: str
    case: Case


@dataclass(frozen=True)
class Effort:
    """How much to measure: processes, and in each process seconds per arm and case, in so many blocks at most.

    An arm whose call takes more than ``slow`` seconds is timed in the first ``slow_processes`` alone (the
    reference in all), and checked in the first alone.
    """

    processes: int
    budget: float
    most_blocks: int
    slow: float
    slow_processes: int
    compile: bool


@dataclass(frozen=True)
class TimeJob:
    """Job: check and time groups of arms, each group one case, the reference first.

    ``seconds`` for a call of an arm, roughly, comes from an earlier process; where it is missing it is estimated.
    """

    groups: tuple[tuple[Arm, ...], ...]
    expectations: dict[Case, Expectation]
    seconds: dict[Arm, float]
    effort: Effort
    seed: int

    @property
    def threads(self) -> int:
        """Those of the cases, which in one process are the same for all."""
        return self.groups[0][0].case.threads


@dataclass(frozen=True)
class CompileJob:
    """Job: time from a backend's first model to the first result of each case, all of one network."""

    backend: str
    cases: tuple[Case, ...]

    @property
    def threads(self) -> int:
        """Those of the cases."""
        return self.cases[0].threads


@dataclass(frozen=True)
class CallJob:
    """Job: call a function of this project, one that a module holds, on one thread."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    threads: int = 1


@dataclass(frozen=True)
class Starting:
    """The worker is about to deal with this arm."""

    arm: Arm
    step: str


@dataclass(frozen=True)
class Sample:
    """One timing: ``loops`` calls of an arm took ``seconds`` each, at this position of this block."""

    block: int
    position: int
    loops: int
    seconds: float


@dataclass(frozen=True)
class TimedGroup:
    """Outcome of ``Time`` for one group. An arm has samples, or a failure: why it has none."""

    group: tuple[Arm, ...]
    evidence: dict[Arm, Evidence]
    seconds: dict[Arm, float]
    samples: dict[Arm, list[Sample]]
    failures: dict[Arm, str]


@dataclass(frozen=True)
class CompileResult:
    """Outcome of ``Compile``: seconds until every case has given its first result."""

    seconds: float


@dataclass(frozen=True)
class CallResult:
    """Outcome of ``Work``: what the function returned."""

    value: Any


@dataclass(frozen=True)
class Refused:
    """The worker cannot do its job; the text says why in one line."""

    reason: str


@dataclass(frozen=True)
class Done:
    """The last message: the state of the machine during the job, and the libraries' thread pools."""

    conditions: Conditions
    pools: list[Pool]


Job = TimeJob | CompileJob | CallJob
Message = Starting | TimedGroup | CompileResult | CallResult | Refused | Done
