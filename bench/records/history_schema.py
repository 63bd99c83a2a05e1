"""The schemas of the history: the index of the stored runs, results of other programs, and ``mlpbench history``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from bench.records.schema import Document, Finite, Positive, Ratio, Record, SourceRecord

LEAST = 1e-15
"""Speedups below this, or above its reciprocal, would overflow in later arithmetic."""


class RunRow(Record):
    """The fields of a run's row that the history needs; others are ignored, and the network is not checked."""

    model_config = ConfigDict(extra="ignore")

    layer_sizes: list[int]
    hidden: str
    output: str
    loss: str
    operation: str
    batch: int
    dtype: str
    threads: int
    epochs: int
    batches: int | None
    backend: str
    arm: str
    reference: str
    seconds: Positive | None
    speedup: Ratio | None


class RunSummary(Record):
    """The fields of a run's document that the history needs; others, such as the samples, are ignored."""

    model_config = ConfigDict(extra="ignore")

    schema_: Literal["mlpbench.run/2"] = Field("mlpbench.run/2", alias="schema")
    started: str
    machine: dict[str, Any]
    source: SourceRecord | None = None
    rows: list[RunRow]


class SeriesRow(Record):
    """A value of a series: the speedup with its interval, or without a reference null, and the seconds of a call."""

    series: str
    speedup: Ratio | None
    seconds: Positive

    @field_validator("speedup")
    @classmethod
    def _check_range(cls, speedup: Ratio | None) -> Ratio | None:
        if speedup is not None and not LEAST < speedup.estimate < 1 / LEAST:
            raise ValueError(f"a speedup of {speedup.estimate}")
        return speedup


class ImportedResults(Record):
    """Results of another program for one commit: a file of pytest-benchmark or of asv. ``origin`` names the file."""

    schema_: Literal["mlpbench.imported/1"] = Field("mlpbench.imported/1", alias="schema")
    origin: str
    started: str
    commit: str | None
    machine: dict[str, str]
    rows: list[SeriesRow]


class IndexedFile(Record):
    """What the history needs of a stored file, which ``bytes`` and ``modified_ns`` identify.

    ``reason`` says why the file cannot be read; it is empty otherwise. ``machine`` is a line: only speedups of equal
    machines belong to a series.
    """

    name: str
    bytes: int
    modified_ns: int
    reason: str = ""
    started: str = ""
    commit: str | None = None
    machine: str = ""
    rows: list[SeriesRow] = Field(default_factory=list)


class HistoryIndex(Record):
    """The index of a results folder. Nothing is lost with it: it is made again from the files."""

    schema_: Literal["mlpbench.history-index/1"] = Field("mlpbench.history-index/1", alias="schema")
    files: list[IndexedFile]


class HistoryRow(Record):
    """A run's value in a series, on the machine that ``machine`` describes in a line."""

    series: str
    machine: str
    file: str
    started: str
    commit: str | None
    speedup: Ratio | None
    seconds: Positive


class HistoryChange(Record):
    """A change point: the last run before it, and the first after it.

    ``factor`` is the mean speed after it, up to the next change point, ÷ the mean speed before it, from the previous
    change point: above 1, the backend became faster.
    """

    factor: Finite
    before: HistoryRow
    after: HistoryRow


class History(Document):
    """The document of ``mlpbench history``. ``unread`` has a reason for each file that cannot be read."""

    schema_: Literal["mlpbench.history/1"] = Field("mlpbench.history/1", alias="schema")
    rows: list[HistoryRow]
    changes: list[HistoryChange]
    unread: list[str]
