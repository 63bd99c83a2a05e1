"""The schema of the gate's documents; the parts that all documents share are in ``schema``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bench.records.schema import CaseFields, CheckpointRecord, ConditionsRecord, Document, Finite, Ratio, Record
from pairbench.rounds import SIDES
from pairbench.sequential_test import Verdict

Cause = Literal["backend", "reference", "machine"]


Positive = Annotated[float, Field(gt=1e-15, lt=1e15)]
"""What has a logarithm that can be reckoned with."""


def _of_all_sides(times: dict[str, list[float]]) -> dict[str, list[float]]:
    if times.keys() != set(SIDES) or len({len(values) for values in times.values()}) > 1:
        raise ValueError(f"{', '.join(SIDES)} must have the same number of times")
    return times


SideTimes = Annotated[
    dict[str, Annotated[list[Positive], Field(min_length=1)]],
    AfterValidator(_of_all_sides),
]
"""Seconds per call by side, in the order of the blocks."""


class RoundRecord(Record):
    """One round: times by row, none where a process died."""

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
    ``aa_ratio`` time of the control ÷ time of the base. Against a baseline ``change`` is speedup there ÷ speedup now,
    and the other two are null. ``minimum_detectable_effect`` is the smallest ratio that is suspected with probability
    0.8. ``changed_times`` names the times whose change is significant.
    """

    backend: str
    verdict: Verdict
    reason: str
    base_seconds: Finite | None
    head_seconds: Finite | None
    change: Ratio | None
    speedup_change: Ratio | None
    aa_ratio: Finite | None
    minimum_detectable_effect: Finite | None
    rounds: int
    confirming_rounds: int | None
    changed_times: list[Cause]


class Gate(Document):
    """The document of ``mlpbench gate --against`` and ``--baseline``."""

    schema_: Literal["mlpbench.gate/2"] = Field("mlpbench.gate/2", alias="schema")
    options: dict[str, Any]
    verdict: Verdict
    head: RevisionRecord
    base: RevisionRecord | None
    rows: list[GateRow]
    notes: list[str]
    conditions: ConditionsRecord
    rounds: list[RoundRecord]


class GateState(CheckpointRecord):
    """What an unfinished gate has so far: its rounds; by row and side, what failed and how often a process died."""

    schema_: Literal["mlpbench.gate-state/2"] = Field("mlpbench.gate-state/2", alias="schema")
    rounds: list[RoundRecord]
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
    """The document of ``mlpbench error-rates``."""

    schema_: Literal["mlpbench.error-rates/1"] = Field("mlpbench.error-rates/1", alias="schema")
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
    """The document of ``mlpbench baseline record``; ``sessions`` is how many the machine's bucket now has."""

    schema_: Literal["mlpbench.baseline-record/1"] = Field("mlpbench.baseline-record/1", alias="schema")
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
    """The file of ``mlpbench gate --baseline``, which ``mlpbench baseline record`` and ``accept`` write."""

    schema_: Literal["mlpbench.baseline/1"] = Field("mlpbench.baseline/1", alias="schema")
    buckets: list[Bucket]


class BaselineRow(Record):
    """What the sessions of this machine's bucket say of one backend at one case, which ``row`` names.

    ``speedup`` is the mean over the sessions with the 95 % interval that they predict for the next one; its ends are
    null where there is one session. ``accepted`` is the factor of the gains that were accepted, 1 where there are none.
    """

    row: str
    sessions: int
    speedup: Ratio
    seconds: Finite
    reference_seconds: Finite
    accepted: Finite


class BaselineSummary(Record):
    """The document of ``mlpbench baseline show``; ``other_machines`` has the sessions of each other bucket."""

    schema_: Literal["mlpbench.baseline-summary/1"] = Field("mlpbench.baseline-summary/1", alias="schema")
    command: str
    version: str
    machine: dict[str, Any]
    baseline: str
    sessions: list[str]
    rows: list[BaselineRow]
    other_machines: list[dict[str, Any]]


class AcceptedGainRow(CaseFields):
    """A gain that was accepted: from now on earlier speedups of the row count ``factor`` times."""

    backend: str
    factor: Finite


class BaselineAcceptance(Document):
    """The document of ``mlpbench baseline accept``."""

    schema_: Literal["mlpbench.baseline-acceptance/1"] = Field("mlpbench.baseline-acceptance/1", alias="schema")
    baseline: str
    head: RevisionRecord
    rows: list[AcceptedGainRow]


class RecordingState(CheckpointRecord):
    """What an unfinished recording of ``mlpbench error-rates`` has so far.

    ``seconds`` is by round, arm and block; ``delay_steps`` and ``loops`` are those of the calibration.
    """

    schema_: Literal["mlpbench.recording-state/1"] = Field("mlpbench.recording-state/1", alias="schema")
    loops: int
    delay_steps: list[int]
    wall_seconds: Finite
    seconds: list[list[list[Positive]]]
