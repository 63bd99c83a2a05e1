"""The schema of the gate's documents; the parts that all documents share are in ``schema``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bench.records.schema import CaseFields, ConditionsRecord, Document, Finite, Ratio, Record

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
Cause = Literal["backend", "reference", "machine"]


Positive = Annotated[float, Field(gt=1e-15, lt=1e15)]
"""What has a logarithm that can be reckoned with."""


def _of_all_sides(times: dict[str, list[float]]) -> dict[str, list[float]]:
    if times.keys() != {"head", "base", "again"} or len({len(values) for values in times.values()}) > 1:
        raise ValueError("head, base and again must have the same number of times")
    return times


SideTimes = Annotated[
    dict[str, Annotated[list[Positive], Field(min_length=1)]],
    AfterValidator(_of_all_sides),
]
"""Seconds per call by side, in the order of the blocks."""


class RoundRecord(Record):
    """One set of processes: times by row, none where a process died."""

    wall_seconds: Finite
    seconds: dict[str, SideTimes]


class RevisionRecord(Record):
    """One of the two revisions: as it was named, its commit if it is one, and the digest of its sources."""

    title: str
    commit: str | None
    digest: str


class GateRow(CaseFields):
    """The verdict on one backend at one case.

    ``change`` is time of the head ÷ time of the base, ``speedup_change`` speedup of the head ÷ speedup of the base,
    ``offset`` time of the base again ÷ time of the base. Against a baseline ``change`` is speedup there ÷ speedup now,
    and there are no others. ``detectable`` is the smallest change that is suspected with a chance of 80 %. ``moved``
    says which times are shown to have changed.
    """

    backend: str
    verdict: Verdict
    reason: str
    base_seconds: Finite | None
    head_seconds: Finite | None
    change: Ratio | None
    speedup_change: Ratio | None
    offset: Finite | None
    detectable: Finite | None
    sets: int
    confirming: int | None
    moved: list[Cause]


class Gate(Document):
    """The document of ``mlpbench gate --against`` and ``--baseline``."""

    schema_: Literal["mlpbench.gate/1"] = Field("mlpbench.gate/1", alias="schema")
    options: dict[str, Any]
    verdict: Verdict
    head: RevisionRecord
    base: RevisionRecord | None
    rows: list[GateRow]
    notes: list[str]
    conditions: ConditionsRecord
    sets: list[RoundRecord]


class GateState(Record):
    """What an unfinished gate has so far: its sets, what failed by row and side, how often which process died."""

    schema_: Literal["mlpbench.gate-state/1"] = Field("mlpbench.gate-state/1", alias="schema")
    settings: dict[str, Any]
    started: str
    sets: list[RoundRecord]
    failures: dict[str, dict[str, str]]
    deaths: dict[str, dict[str, int]]


class ErrorRateRecord(Record):
    """How many of the runs gave a verdict, and the 95 % interval of the share."""

    count: int
    runs: int
    low: Finite
    high: Finite


class ErrorRateRow(Record):
    """A rule's verdicts on the disjoint runs of a recording in which the head was planted with a delay.

    ``planted`` is the part of a call that the delay was to take, ``measured`` the one that it took.
    """

    recording: str
    rule: str
    planted: Finite
    measured: Finite
    rates: dict[Verdict, ErrorRateRecord]


class ErrorRates(Record):
    """The document of ``mlpbench gate --characterise``."""

    schema_: Literal["mlpbench.gate-rates/1"] = Field("mlpbench.gate-rates/1", alias="schema")
    command: str
    version: str
    machine: dict[str, Any]
    budget: Finite
    rows: list[ErrorRateRow]


class SessionRow(Record):
    """A row in one session: its speedup over the reference, and the seconds of both."""

    speedup: Positive
    seconds: Positive
    reference_seconds: Positive


class RecordedRow(CaseFields):
    """What a session holds of one backend at one case."""

    backend: str
    seconds: Finite
    reference_seconds: Finite
    speedup: Finite


class RecordedSession(Document):
    """The document of ``mlpbench gate --record``; ``sessions`` is how many the machine's bucket now has."""

    schema_: Literal["mlpbench.gate-recorded/1"] = Field("mlpbench.gate-recorded/1", alias="schema")
    baseline: str
    sessions: int
    head: RevisionRecord
    rows: list[RecordedRow]


class Session(Record):
    """One measuring of the working tree, by row."""

    started: str
    head: str
    digest: str
    rows: dict[str, SessionRow]


class AcceptedGain(Record):
    """A gain that was accepted: from then on the row's speedups in the first ``sessions`` count ``factor`` times."""

    row: str
    factor: Positive
    sessions: int


class Bucket(Record):
    """Sessions on machines that are alike."""

    machine: dict[str, Any]
    sessions: list[Session]
    moves: list[AcceptedGain]


class Baseline(Record):
    """The file of ``mlpbench gate --baseline``, which ``--record`` and ``--ratchet`` write."""

    schema_: Literal["mlpbench.baseline/1"] = Field("mlpbench.baseline/1", alias="schema")
    buckets: list[Bucket]
