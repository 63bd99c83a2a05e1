"""What the measuring parent and a worker process say to each other, as pickles over the worker's pipes.

The parent sends one job. The worker announces each step (``Starting``), so that the parent can name what a process
died of, and sends results; ``Done`` is its last message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pairbench.machine import Conditions
from pairbench.threads import Pool
from pairbench.workload import Arm, CheckedWorkload, Evidence

ArmT = TypeVar("ArmT", bound=Arm)


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    ``processes``: fresh processes, one after another. ``seconds_per_arm``: seconds of samples of an arm in a process,
    in at most ``max_blocks`` blocks. An arm whose call takes more than ``slow_call_seconds`` is timed in the first
    ``slow_processes`` processes alone (the reference in all), and verified in the first alone. ``compile``: whether
    compile times are measured.
    """

    processes: int
    seconds_per_arm: float
    max_blocks: int
    slow_call_seconds: float
    slow_processes: int
    compile: bool


@dataclass(frozen=True)
class TimeJob(Generic[ArmT]):
    """Job: verify and time groups of arms. The first arm of a group is its reference.

    ``seconds``: rough seconds per call of an arm, from an earlier process; estimated where it is missing.
    """

    groups: tuple[tuple[ArmT, ...], ...]
    workloads: Mapping[ArmT, CheckedWorkload]
    seconds: Mapping[ArmT, float]
    effort: Effort
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class CallJob:
    """Job: call a function that a module holds. With ``label``, a death of the process is blamed on that label."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    threads: int = 1
    label: Any = None


@dataclass(frozen=True)
class Starting:
    """The worker starts a step for this arm, or for the label of a CallJob."""

    arm: Any
    step: str


@dataclass(frozen=True)
class Sample:
    """One timing: ``loops`` calls of an arm took ``seconds`` each, at this position of this block."""

    block: int
    position: int
    loops: int
    seconds: float


@dataclass(frozen=True)
class TimedGroup(Generic[ArmT]):
    """Outcome of a TimeJob for one group. An arm has samples, or a failure: why it has none."""

    group: tuple[ArmT, ...]
    evidence: dict[ArmT, Evidence]
    seconds: dict[ArmT, float]
    samples: dict[ArmT, list[Sample]]
    failures: dict[ArmT, str]


@dataclass(frozen=True)
class CallResult:
    """Outcome of a CallJob: what the function returned."""

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


Job = TimeJob[Any] | CallJob
Message = Starting | TimedGroup[Any] | CallResult | Refused | Done
