"""The schema of the documents of ``mlpbench speed``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.schema import (
    CheckpointRecord,
    Document,
    Finite,
    ProcessRecord,
    Ratio,
    Record,
    RooflineRow,
    TimingRow,
)


class GoalRow(Record):
    """A goal: ``measured`` should be at least ``goal``, or at most ``goal`` if ``at_most``; null if not measured.

    ``what`` names the measured quantity. ``detail`` describes the result, or explains why there is none. ``note``
    describes the attempts to reach a goal that is not reached.
    """

    what: str
    measured: Ratio | None
    unit: Literal["", "s"]
    goal: Finite
    at_most: bool
    reached: bool
    detail: str
    note: str


class CProcessRecord(Record):
    """One process of the comparison with C: seconds per call of C, log ratios of numba_simd ÷ C by block."""

    seconds: Finite
    log_ratios: list[Finite]


class CComparisonRecord(Record):
    """The comparison with C, by process, or the reason why there is no comparison."""

    processes: list[CProcessRecord]
    reason: str


class StartRecord(Record):
    """Wall seconds of a process with an empty cache for a dtype, and of later processes with a filled cache.

    ``cold_seconds`` end with the first results of all operations, the others with the outputs of one sample.
    ``cold_forward_seconds`` is None in documents of mlpbench 0.1, which compiled all operations together.
    """

    dtype: str
    cold_seconds: Finite
    cold_forward_seconds: Finite | None = None
    warm_seconds: list[Finite]


class Speed(Document):
    """The document of ``mlpbench speed``. The reference of each row is numba_simd at the same case."""

    schema_: Literal["mlpbench.speed/2"] = Field("mlpbench.speed/2", alias="schema")
    options: dict[str, Any]
    effort: dict[str, Any]
    seed: int
    goals: list[GoalRow]
    rows: list[TimingRow]
    roofline: list[RooflineRow]
    c: CComparisonRecord
    starts: list[StartRecord]
    processes: list[ProcessRecord]


class SpeedState(CheckpointRecord):
    """Checkpoint of ``mlpbench speed``; a part that is not measured yet is null."""

    schema_: Literal["mlpbench.speed-state/2"] = Field("mlpbench.speed-state/2", alias="schema")
    seed: int
    roofline: list[RooflineRow] | None = None
    rows: list[TimingRow] | None = None
    processes: list[ProcessRecord] | None = None
    c: CComparisonRecord | None = None
    starts: list[StartRecord] | None = None
