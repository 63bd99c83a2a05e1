"""The schema of ``mlpbench compare`` for results files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bench.records.schema import Document, Positive, Ratio, Record


class ComparedRow(Record):
    """A series of the first file beside the same series of another ``file``.

    The seconds are medians over the processes. ``time_ratio`` is time in the first ÷ time in the other,
    ``speedup_ratio`` speedup in the other ÷ speedup in the first: above 1, the other is faster. Each is null where it
    is not comparable or not in both files.
    """

    series: str
    file: str
    first_seconds: Positive
    seconds: Positive
    time_ratio: Ratio | None
    first_speedup: Ratio | None
    speedup: Ratio | None
    speedup_ratio: Ratio | None


class FileComparison(Document):
    """The document of ``mlpbench compare FILE FILE``.

    ``differences`` says in what the machines and versions differ, ``unmatched`` which series only one file has.
    """

    schema_: Literal["mlpbench.file-comparison/1"] = Field("mlpbench.file-comparison/1", alias="schema")
    files: list[str]
    differences: list[str]
    unmatched: list[str]
    rows: list[ComparedRow]
