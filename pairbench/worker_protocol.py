"""Messages between the parent and a worker process, pickled over the worker's pipes.

The parent sends one job. The worker announces each step (``Starting``), so that the parent knows at which step a worker
died, and sends results. ``Done`` is the last message.
"""

from __future__ import annotations

__all__ = ["Effort", "TimeJob", "TimedGroup"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pairbench.machine import Conditions
from pairbench.threads import Pool
from pairbench.workload import ArmLabel, CheckedWorkload, JudgedSample

ArmT = TypeVar("ArmT", bound=ArmLabel)


@dataclass(frozen=True)
class Effort:
    """How much to measure.

    ``processes``: number of fresh processes, one after another. ``seconds_per_arm``: total length of an arm's samples
    in a process, in at most ``max_blocks`` blocks. An arm whose call takes more than ``slow_call_seconds`` is timed
    only in the first ``slow_processes`` processes, a whole group if its reference is slow, and verified only in the
    first process.
    ``compile``: whether compile times are measured.
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

    ``seconds``: rough seconds per call of an arm, from an earlier process; the worker estimates missing ones. An arm
    fails if it replaces a function of the ``guarded`` packages.
    """

    groups: tuple[tuple[ArmT, ...], ...]
    workloads: Mapping[ArmT, CheckedWorkload]
    seconds: Mapping[ArmT, float]
    effort: Effort
    seed: int
    threads: int = 1
    guarded: tuple[str, ...] = ("pairbench",)


@dataclass(frozen=True)
class CallJob:
    """Job: call a module-level function. If the process dies and ``label`` is given, WorkerDied names the label."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    threads: int = 1
    label: Any = None


@dataclass(frozen=True)
class FunctionJob:
    """Job: time functions for some seconds. ``functions`` is a pickled FunctionSet, imported from ``path``."""

    functions: bytes
    path: tuple[str, ...]
    seconds: float
    collection: bool
    seed: int
    threads: int = 1


@dataclass(frozen=True)
class FunctionTimes:
    """Result of a FunctionJob, by name of the arm.

    ``samples``: the fields of its readings. ``evidence``: its pickled evidence, None for what cannot be pickled.
    """

    samples: dict[str, list[tuple[Any, ...]]]
    evidence: dict[str, list[bytes | None]]
    failures: dict[str, str]
    remarks: dict[str, list[str]]


@dataclass(frozen=True)
class Starting:
    """Message: the worker starts a step for this arm, or for the label of a CallJob."""

    arm: Any
    step: str


@dataclass(frozen=True)
class Finished:
    """Message: the step that was started last has ended. It took ``seconds`` by the worker's clock."""

    arm: Any
    seconds: float


@dataclass(frozen=True)
class Disturbing:
    """The last message of a worker that gives up, because it cannot undo what the code of a backend does to others."""

    backend: str
    reason: str


@dataclass(frozen=True)
class Sample:
    """A sample: ``loops`` calls of an arm took ``seconds`` each, at this position of this block."""

    block: int
    position: int
    loops: int
    seconds: float


@dataclass(frozen=True)
class TimedGroup(Generic[ArmT]):
    """Result of a TimeJob for one group. Each arm has either samples or the reason of its failure.

    ``results`` are those of ``build_and_compute``, ``records`` those of the samples with judged calls; the parent
    judges both. ``remarks`` say which settings of the process an arm has changed; they were restored.
    """

    group: tuple[ArmT, ...]
    results: dict[ArmT, Any]
    records: dict[ArmT, list[JudgedSample]]
    remarks: dict[ArmT, list[str]]
    seconds: dict[ArmT, float]
    samples: dict[ArmT, list[Sample]]
    failures: dict[ArmT, str]


@dataclass(frozen=True)
class CallResult:
    """Result of a CallJob: the return value of the function."""

    value: Any


@dataclass(frozen=True)
class Refused:
    """Message: the worker cannot do its job; ``reason`` explains why in one line."""

    reason: str


@dataclass(frozen=True)
class Done:
    """The last message: the load on the machine during the job, and the libraries' thread pools."""

    conditions: Conditions
    pools: list[Pool]


Job = TimeJob[Any] | CallJob | FunctionJob
Message = Starting | Finished | Disturbing | TimedGroup[Any] | CallResult | FunctionTimes | Refused | Done
