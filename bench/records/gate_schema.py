"""The schemas of the gate's documents. The parts that all documents share are in ``schema``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field

from bench.records.schema import (
    CaseFields,
    CheckpointRecord,
    ConditionsRecord,
    Document,
    Finite,
    Positive,
    Ratio,
    Record,
)
from pairbench.rounds import SIDES
from pairbench.sequential_test import Verdict

if TYPE_CHECKING:
    from pairbench.measurement_loop import RoundOutcome

Cause = Literal["backend", "reference", "machine"]


def _check_sides(times: dict[str, list[float]]) -> dict[str, list[float]]:
    if times.keys() != set(SIDES) or len({len(values) for values in times.values()}) > 1:
        raise ValueError(f"{', '.join(SIDES)} must have the same number of times")
    return times


SideTimes = Annotated[
    dict[str, Annotated[list[Positive], Field(min_length=1)]],
    AfterValidator(_check_sides),
]
"""Seconds per call by side, in the order of the blocks."""


class RoundRecord(Record):
    """One round: times by row. A round in which a process died has no times."""

    wall_seconds: Finite
    seconds: dict[str, SideTimes]


class RevisionRecord(Record):
    """A revision: its title, its commit (null for uncommitted changes), and the digest of its sources."""

    title: str
    commit: str | None
    digest: str


class SlowProcessesRecord(Record):
    """How many of ``rounds`` processes of the head, and of twice as many of base and control, were slow."""

    head: int
    base: int
    rounds: int


class SessionRow(Record):
    """A row in one session: its speedup over the reference, its seconds per call, and those of the reference."""

    speedup: Positive
    seconds: Positive
    reference_seconds: Positive


class Session(Record):
    """One measurement of the working tree, by row."""

    started: str
    head: str
    digest: str
    rows: dict[str, SessionRow]


class CountRecord(Record):
    """How many instructions a call executes in the base and in the head."""

    base: Annotated[Finite, Field(ge=0)]
    head: Annotated[Finite, Field(ge=0)]


class GateRow(CaseFields):
    """The verdict on one backend at one case.

    ``change`` is head time ÷ base time, with the interval that decides on PASS. ``typical_change`` is the trimmed mean
    of the same ratio, which decides on FAIL. ``speedup_change`` is head speedup ÷ base speedup, and ``aa_ratio`` is
    control time ÷ base time. ``slow_processes`` counts the processes that were slow for their whole life. In a
    comparison with a baseline, ``change`` is baseline speedup ÷ present speedup, and the other four are null;
    ``rounds`` is the number of sessions, and ``confirming_rounds`` is 1 if another session confirms a fall.
    ``minimum_detectable_effect`` is the smallest ratio for which the gate gives FAIL with probability 0.8.
    ``changed_times`` names the times that changed significantly. ``bytecode`` counts the instructions of Python's
    interpreter in a call, ``instructions`` the machine's; both are null unless they were counted, and ``uncounted``
    says why a count is missing that was asked for.
    """

    backend: str
    verdict: Verdict
    reason: str
    base_seconds: Finite | None
    head_seconds: Finite | None
    change: Ratio | None
    typical_change: Finite | None
    speedup_change: Ratio | None
    aa_ratio: Ratio | None
    slow_processes: SlowProcessesRecord | None
    minimum_detectable_effect: Finite | None
    rounds: int
    confirming_rounds: int | None
    changed_times: list[Cause]
    bytecode: CountRecord | None = None
    instructions: CountRecord | None = None
    uncounted: str = ""


class Gate(Document):
    """The document of ``mlpbench gate --against`` and ``--baseline``.

    ``session`` is the complete session of a ``gate --baseline``, by which a later one confirms a suspicion.
    """

    schema_: Literal["mlpbench.gate/3"] = Field("mlpbench.gate/3", alias="schema")
    options: dict[str, Any]
    verdict: Verdict
    head: RevisionRecord
    base: RevisionRecord | None
    rows: list[GateRow]
    notes: list[str]
    conditions: ConditionsRecord
    rounds: list[RoundRecord]
    session: Session | None = None


class StoredSession(Record):
    """The fields of a gate's document that a later gate needs; others are ignored."""

    model_config = ConfigDict(extra="ignore")

    schema_: Literal["mlpbench.gate/3"] = Field("mlpbench.gate/3", alias="schema")
    machine: dict[str, Any]
    session: Session | None = None


class GateState(CheckpointRecord):
    """Checkpoint of a gate: the rounds so far, and by row and side the reason of a failure and the count of deaths."""

    schema_: Literal["mlpbench.gate-state/3"] = Field("mlpbench.gate-state/3", alias="schema")
    rounds: list[RoundRecord]
    failures: dict[str, dict[str, str]]
    deaths: dict[str, dict[str, int]]

    def after_round(self, outcome: RoundOutcome) -> Self:
        """The state with one round more."""
        record = RoundRecord(wall_seconds=outcome.wall_seconds, seconds=outcome.seconds)
        update = {"rounds": [*self.rounds, record], "failures": outcome.failures, "deaths": outcome.deaths}
        return self.model_copy(update=update)


class RecordedRow(CaseFields):
    """Result of a session for one backend at one case."""

    backend: str
    seconds: Finite
    reference_seconds: Finite
    speedup: Finite


class RecordedSession(Document):
    """The document of ``mlpbench baseline record``; ``sessions`` is the number of sessions of the machine's bucket."""

    schema_: Literal["mlpbench.baseline-record/1"] = Field("mlpbench.baseline-record/1", alias="schema")
    baseline: str
    sessions: int
    head: RevisionRecord
    rows: list[RecordedRow]


class AcceptedMove(Record):
    """An accepted gain, or with a ``factor`` of 1 or less, an accepted loss.

    The row's anchor is multiplied by ``factor``. ``sessions`` is the number of sessions that the bucket had then.
    """

    row: str
    factor: Positive
    sessions: int


class Bucket(Record):
    """Sessions on machines whose times are comparable."""

    machine: dict[str, Any]
    sessions: list[Session]
    moves: list[AcceptedMove]


class Baseline(Record):
    """The baseline file, which ``mlpbench baseline`` writes and ``mlpbench gate --baseline`` reads."""

    schema_: Literal["mlpbench.baseline/1"] = Field("mlpbench.baseline/1", alias="schema")
    buckets: list[Bucket]


class BaselineRow(Record):
    """Summary of this machine's sessions for one backend at one case, which ``row`` names.

    ``anchor`` is the speedup of the first sessions, multiplied by the accepted gains and losses, and ``accepted`` is
    the product of their factors. ``window`` is the number of sessions of the window, 0 without one. ``speedup`` is that
    of the window, else that of the anchor, with the 95 % prediction interval for the next session; the ends are null if
    there is one session.
    """

    row: str
    sessions: int
    anchor: Finite
    window: int
    speedup: Ratio
    seconds: Finite
    reference_seconds: Finite
    accepted: Finite


class LevelChange(Record):
    """A change of a row's speedup by ``factor``, from the session before ``session`` to it; sessions count from 1."""

    row: str
    session: int
    started: str
    head: str
    factor: Finite


class BaselineSummary(Record):
    """The document of ``mlpbench baseline show``; ``other_machines`` describes the other buckets."""

    schema_: Literal["mlpbench.baseline-summary/2"] = Field("mlpbench.baseline-summary/2", alias="schema")
    command: str
    version: str
    machine: dict[str, Any]
    baseline: str
    sessions: list[str]
    rows: list[BaselineRow]
    changes: list[LevelChange]
    other_machines: list[dict[str, Any]]


class AcceptedRow(CaseFields):
    """An accepted gain, or with a ``factor`` of 1 or less, an accepted loss: the anchor is multiplied by ``factor``."""

    backend: str
    factor: Finite


class BaselineAcceptance(Document):
    """The document of ``mlpbench baseline accept``."""

    schema_: Literal["mlpbench.baseline-acceptance/1"] = Field("mlpbench.baseline-acceptance/1", alias="schema")
    baseline: str
    head: RevisionRecord
    rows: list[AcceptedRow]
