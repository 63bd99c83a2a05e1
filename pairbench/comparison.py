"""The result of a comparison of functions: a row for each candidate, the A/A control, the samples and the machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pairbench import comparison_views
from pairbench.statistics import Interval

SCHEMA = "pairbench-comparison-1"
"""Name and version of the JSON document."""


@dataclass(frozen=True)
class Row:
    """A candidate beside the reference.

    ``seconds`` is the median time of a call. ``speedup`` is the time of the reference ÷ that of the candidate, with its
    interval; above 1 the candidate is faster. Both are None if the candidate was not timed or if nothing can be told
    about its time; ``reason`` then says why, in one line. ``difference`` says how its result differs from that of the
    reference, in one line; it is empty if they are equal. ``remarks`` are properties of the times that a reader should
    know, such as two modes or a trend.
    """

    name: str
    seconds: float | None
    speedup: Interval | None
    reason: str = ""
    difference: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the candidate is equal to the reference and has a speedup."""
        return not self.difference and self.speedup is not None


@dataclass(frozen=True)
class Comparison:
    """Times of candidates beside those of a reference, with 95 % confidence intervals.

    With ``processes`` of 1 the functions were timed in the calling process, and the intervals are for another
    measurement within this process. Otherwise they are for another choice of fresh processes. ``control`` is the ratio
    of the reference to itself, the A/A control, which should be 1. ``samples`` has for each process, and each arm by
    name, the seconds per call in each block. ``collection`` says whether the garbage collector was on. ``machine`` is a
    description of the machine, its Python and its libraries.
    """

    reference: Row
    rows: tuple[Row, ...]
    control: Interval | None
    processes: int
    blocks: int
    collection: bool
    samples: tuple[Mapping[str, tuple[float, ...]], ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Row:
        """The row of a candidate. Raises KeyError, which lists the names."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no candidate {name!r}; there are {', '.join(row.name for row in self.rows)}")

    @property
    def ok(self) -> bool:
        """Whether every candidate is equal to the reference and has a speedup."""
        return not self.reference.difference and all(row.ok for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """The comparison as data for ``json.dump``."""
        return {"schema": SCHEMA, **asdict(self)}

    def to_rows(self) -> list[dict[str, Any]]:
        """A flat row for each candidate, for ``csv.DictWriter`` or a data frame.

        The keys are those of ``comparison_views.COLUMNS``. What is unknown is None.
        """
        return comparison_views.flat_rows(self)

    def to_csv(self) -> str:
        """The rows of ``to_rows`` as CSV, with a header."""
        return comparison_views.csv_text(self)

    def to_markdown(self) -> str:
        """The table in Markdown, with the A/A control and the remarks below."""
        return comparison_views.markdown(self)

    def to_svg(self) -> str:
        """A picture of the speedups with their intervals, as an SVG document."""
        return comparison_views.svg(self)

    def _repr_html_(self) -> str:
        """The table and the picture, for a notebook."""
        return comparison_views.html_text(self)
