"""The schema of the checkpoint of the comparison with other tools."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.records.schema import CheckpointRecord, Finite, Record

ToolVerdict = Literal["regression", "none", "inconclusive", "failed"]


class ToolRun(Record):
    """One run of a tool on a pair: the verdict of each reading, its time in seconds, and why it failed."""

    tool: str
    kind: str
    planted: Finite
    seconds: Finite
    verdicts: dict[str, ToolVerdict]
    reason: str = ""


class ToolComparisonState(CheckpointRecord):
    """The runs so far, in the order of the schedule."""

    schema_: Literal["mlpbench.tool-comparison-state/1"] = Field("mlpbench.tool-comparison-state/1", alias="schema")
    runs: list[ToolRun]
