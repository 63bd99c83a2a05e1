"""The schema of the document of ``mlpbench error-rates``, and of the checkpoint of its recordings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from bench.records.schema import CheckpointRecord, Finite, Positive, Record
from pairbench.sequential_test import Verdict


class ErrorRateRecord(Record):
    """How many of ``runs`` runs gave a verdict, and the 95 % confidence interval of the share."""

    count: Annotated[int, Field(ge=0, le=2**53)]
    runs: Annotated[int, Field(ge=0, le=2**53)]
    low: Finite
    high: Finite


class ErrorRateRow(Record):
    """A rule's verdicts on the disjoint runs of a recording in which the head was slowed by a planted delay.

    ``planted`` is the intended slowdown as a share of the call's time, ``measured`` the slowdown in the recording.
    """

    recording: str
    rule: str
    planted: Finite
    measured: Finite
    rates: dict[Verdict, ErrorRateRecord]


class CurvePointRecord(Record):
    """The verdicts of simulated gates on one of ``rows`` rows, of at most ``rounds`` rounds.

    The rounds before the first PASS have ``blocks`` blocks, the others ``later_blocks``.

    ``share`` of the head's processes, drawn at random, were slower by ``slowdown``, a share of the call's time.
    """

    recording: str
    rows: int
    threshold: Finite
    rounds: int
    blocks: int
    later_blocks: int
    slowdown: Finite
    share: Finite
    rates: dict[Verdict, ErrorRateRecord]


class ErrorRates(Record):
    """The document of ``mlpbench error-rates``. ``curve`` has the operating curves."""

    schema_: Literal["mlpbench.error-rates/4"] = Field("mlpbench.error-rates/4", alias="schema")
    command: str
    version: str
    machine: dict[str, Any]
    budget: Finite
    rows: list[ErrorRateRow]
    curve: list[CurvePointRecord]


class RecordingState(CheckpointRecord):
    """Checkpoint of a recording of ``mlpbench error-rates``.

    ``seconds`` are per call, by round, arm and block. ``delay_steps`` and ``loops`` are results of the calibration.
    """

    schema_: Literal["mlpbench.recording-state/2"] = Field("mlpbench.recording-state/2", alias="schema")
    loops: int
    delay_steps: list[int]
    wall_seconds: Finite
    seconds: list[list[list[Positive]]]
