"""The schema of the documents of ``mlpbench tutorials``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.schema import CheckpointRecord, Document, Finite, Record

Form = Literal["rounded", "truncated", "exact", "below all"]
"""How printed digits represent a value: rounded, truncated, complete, or as a lower bound of several values."""


class TutorialRow(Record):
    """A figure printed in a tutorial, and the value that a backend computes; ``backend`` is null if it needs none.

    ``kind`` "figure": the number or numbers in ``value`` should have the digits of ``printed``, read as ``form`` says;
    null stands for NaN or infinity. "agreement": the largest relative difference from the comparison backend, which
    should be at most ``printed``. "time": seconds. "speedup": a ratio of times with its interval. For "time" and
    "speedup", ``ratio`` is this machine's value ÷ the tutorial's, null if the tutorial prints none. "failure": the
    backend raised the exception in ``note``. ``source`` is the origin of ``printed`` if it is not the tutorial.
    """

    document: str
    part: str
    figure: str
    printed: str | None = None
    source: str = ""
    kind: Literal["figure", "agreement", "time", "speedup", "failure"]
    form: Form | None = None
    backend: str | None
    value: Finite | list[Finite | None] | None = None
    low: Finite | None = None
    high: Finite | None = None
    ratio: Finite | None = None
    ok: bool
    note: str = ""


class Tutorials(Document):
    """The document of ``mlpbench tutorials``; ``remarks`` has notes on the figures, by the key of the tutorial."""

    schema_: Literal["mlpbench.tutorials/1"] = Field("mlpbench.tutorials/1", alias="schema")
    options: dict[str, Any]
    rows: list[TutorialRow]
    remarks: dict[str, list[str]]


class TutorialsState(CheckpointRecord):
    """Checkpoint of ``mlpbench tutorials``: the keys of the finished tutorials, and their results."""

    schema_: Literal["mlpbench.tutorials-state/2"] = Field("mlpbench.tutorials-state/2", alias="schema")
    done: list[str]
    rows: list[TutorialRow]
    remarks: dict[str, list[str]]
    unsupported: list[str]
