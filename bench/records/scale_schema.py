"""The schema of the documents of ``mlpbench scale``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.schema import (
    CaseFields,
    CheckpointRecord,
    CompileRow,
    Document,
    Finite,
    ProcessRecord,
    Ratio,
    Record,
    TimingRow,
)

Dimension = Literal["width", "depth", "batch"]


class ScaleRow(CaseFields):
    """One backend at one point of a dimension.

    ``dimension`` and ``value`` are null in the rows that are measured for the break-even. ``speedup`` is time of
    python_loops ÷ time of the backend, null if either was not timed; for the arm "A/A" it is the ratio of the row's
    backend to itself. ``predicted_seconds`` is null unless the call was predicted to take too long and was not run.
    ``reason`` explains a failure or why the call was not run.
    """

    dimension: Dimension | None
    value: int | None
    backend: str
    arm: str
    seconds: Finite | None
    predicted_seconds: Finite | None
    speedup: Ratio | None
    ulps: Finite | None
    share: Finite | None
    ok: bool
    reason: str


class CrossoverRow(Record):
    """A crossover between two timed sizes: ``faster_below`` is faster at ``left``, and ``faster_above`` at ``right``.

    At both sizes, the whole 99 % interval of the ratio of the times is more than 2 % away from 1. ``undecided`` are the
    timed sizes between them, at which it is not.
    """

    dimension: Dimension
    faster_below: str
    faster_above: str
    left: int
    right: int
    undecided: list[int]


class TieRow(Record):
    """A range of sizes, ``left`` to ``right``, in which neither of two backends is significantly faster.

    ``within`` is the largest factor between their times in the 99 % intervals; null without intervals.
    """

    dimension: Dimension
    backends: tuple[str, str]
    left: int
    right: int
    within: Finite | None


class BreakEvenRow(Record):
    """Number of calls with one sample until a backend breaks even with python_loops; null if it never does."""

    backend: str
    network: str
    cold_seconds: Finite
    cached_seconds: Finite
    cold_calls: int | None
    cached_calls: int | None


class Scale(Document):
    """The document of ``mlpbench scale``."""

    schema_: Literal["mlpbench.scale/3"] = Field("mlpbench.scale/3", alias="schema")
    options: dict[str, Any]
    effort: dict[str, Any]
    rows: list[ScaleRow]
    crossovers: list[CrossoverRow]
    ties: list[TieRow]
    break_even: list[BreakEvenRow]
    processes: list[ProcessRecord]


class NotRun(CaseFields):
    """A backend that was not run at a case, because it would take too long or has failed before."""

    backend: str
    predicted_seconds: Finite | None
    reason: str


class ScaleState(CheckpointRecord):
    """Checkpoint of ``mlpbench scale``. In ``rows`` the reference is the fastest backend of a case.

    ``bisections`` is the number of steps of bisection that are done.
    """

    schema_: Literal["mlpbench.scale-state/4"] = Field("mlpbench.scale-state/4", alias="schema")
    rows: list[TimingRow]
    not_run: list[NotRun]
    bisections: int
    compile: list[CompileRow]
    processes: list[ProcessRecord]
