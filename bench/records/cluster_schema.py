"""The schema of the documents of ``mlpbench run --cluster``."""

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


class MachineRecord(Record):
    """A machine of the cluster. ``bucket`` names what must be equal on two machines for their times to be comparable.

    ``description`` is that of ``pairbench.machine.describe``, on this machine.
    """

    machine: str
    bucket: str
    description: dict[str, Any]


class ClusterRow(TimingRow):
    """A timing row of a bucket, from all processes of the machines on which the case was timed.

    ``disturbances``: what shared one of the machines during the timing.
    """

    bucket: str
    machines: list[str]
    disturbances: list[str]


class ClusterCompileRow(CompileRow):
    """The compile time of a backend on a machine of a bucket."""

    bucket: str


class SpreadRow(CaseFields):
    """How much a speedup differs between buckets; see ``pairbench.random_effects``.

    ``speedup`` is that of an average bucket. ``between`` is the standard deviation of the logarithms of the buckets'
    speedups, without the errors of measurement. ``share`` is I², the part of the variance of the measured speedups that
    the errors of measurement do not explain.
    """

    backend: str
    arm: str
    buckets: int
    speedup: Ratio
    between: Finite
    share: Finite


class ClusterRun(Document):
    """The document of ``mlpbench run --cluster``. ``machine`` is the one on which the command was given."""

    schema_: Literal["mlpbench.cluster-run/1"] = Field("mlpbench.cluster-run/1", alias="schema")
    options: dict[str, Any]
    effort: dict[str, Any]
    machines: list[MachineRecord]
    rows: list[ClusterRow]
    spreads: list[SpreadRow]
    compile: list[ClusterCompileRow]
    processes: list[ProcessRecord]


class CaseResult(Record):
    """The rows of a case on a machine, and the processes that timed it. ``case`` is its description."""

    case: str
    bucket: str
    machine: str
    rows: list[TimingRow]
    processes: list[ProcessRecord]


class ClusterRunState(CheckpointRecord):
    """Checkpoint of ``mlpbench run --cluster``. A pair in ``compiled`` is a backend and a bucket that are done."""

    schema_: Literal["mlpbench.cluster-run-state/1"] = Field("mlpbench.cluster-run-state/1", alias="schema")
    machines: list[MachineRecord]
    results: list[CaseResult]
    compile: list[ClusterCompileRow]
    compiled: list[tuple[str, str]]
