"""The tables and sentences of ``run --roofline``, as rich renderables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from bench.records.schema import RooflineRow, TimingRow
from bench.report import tables
from bench.report.layout import Paragraph

TITLE = "roofline: peak rates of this machine, measured on one thread"
SIZE_STEP = 8
"""The memory bandwidth is shown for every eighth array size, and for the largest."""


def probes(rows: Sequence[RooflineRow]) -> Iterator[RenderableType]:
    """A table of the measured peak rates; nothing if none were measured."""
    if not rows:
        return
    headings, *lines = cells(rows)
    yield Text(TITLE, style="bold")
    table = tables.plain(*headings)
    for line in lines:
        table.add_row(*line)
    yield table
    yield Paragraph(bandwidth_line(rows))
    yield ""


def cells(rows: Sequence[RooflineRow]) -> list[list[str]]:
    """The peak rates other than memory bandwidth: a row of headings, then a row per rate and a column per dtype."""
    dtypes = sorted({row.dtype for row in rows if row.dtype}, reverse=True)
    rates: dict[str, dict[str | None, str]] = {}
    for row in rows:
        if row.what != "reading":
            rates.setdefault(_name(row), {})[row.dtype] = _value(row)
    table = [[name, *(values.get(dtype, tables.NONE) for dtype in dtypes)] for name, values in rates.items()]
    return [["", *dtypes], *table]


def bandwidth_line(rows: Sequence[RooflineRow]) -> str:
    """The memory bandwidth, for some array sizes and for the largest, which no cache holds."""
    sizes = [row for row in rows if row.what == "reading"]
    selected = [*sizes[:-1:SIZE_STEP], sizes[-1]]
    return "memory bandwidth: " + ", ".join(f"{_size(row)} at {_value(row)}" for row in selected)


def roofline_legend(rows: Sequence[TimingRow]) -> Iterator[Paragraph]:
    """The meaning of the column "share", and a sentence for each share above 1."""
    if all(row.roofline_share is None for row in rows):
        return
    yield Paragraph("≥: lower bound of the time of a call, from the peak rates of this machine.")
    yield Paragraph("share: share of the roofline, which is the lower bound ÷ the time; at most 1.")
    yield from map(Paragraph, shares_above_one(rows))


def shares_above_one(rows: Sequence[TimingRow]) -> Iterator[str]:
    """A sentence for each row whose time is below the lower bound."""
    for row in rows:
        if row.roofline_share is not None and row.roofline_share > 1:
            yield (
                f"{row.arm} has a share of the roofline of {tables.part(row.roofline_share)} "
                f"({tables.case_title(row)}): "
                "the lower bound is wrong, or a measurement was disturbed."
            )


def _name(row: RooflineRow) -> str:
    return {"products": "matrix products", "exponentials": "exponential", "calls": "empty call"}[row.what] + (
        f", {row.detail}" if row.detail else ""
    )


def _value(row: RooflineRow) -> str:
    match row.what:
        case "products":
            return f"{tables.number(2e-9 * row.per_second)} GF/s"
        case "reading":
            return f"{tables.number(1e-9 * row.per_second)} GB/s"
        case _:
            return tables.duration(1 / row.per_second)


def _size(row: RooflineRow) -> str:
    size = int(row.detail.split()[0])
    return f"{size >> 20} MB" if size >> 20 else f"{size >> 10} kB"
