"""What ``run --limits`` shows of the limits, as rich renderables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from bench.records.schema import RooflineRow, TimingRow
from bench.report import tables

TITLE = "the limits: what this machine does on one thread, at best"
SHOWN = 8
"""Every so many sizes, the bandwidth is shown."""


def probes(rows: Sequence[RooflineRow]) -> Iterator[RenderableType]:
    """The probes, if there are any."""
    if not rows:
        return
    headings, *lines = cells(rows)
    yield Text(TITLE, style="bold")
    table = tables.plain(*headings)
    for line in lines:
        table.add_row(*line)
    yield table
    yield from tables.wrapped(reading(rows))
    yield ""


def cells(rows: Sequence[RooflineRow]) -> list[list[str]]:
    """All probes but those of reading, as a table with its headings."""
    dtypes = sorted({row.dtype for row in rows if row.dtype}, reverse=True)
    found: dict[str, dict[str | None, str]] = {}
    for row in rows:
        if row.what != "reading":
            found.setdefault(_name(row), {})[row.dtype] = _value(row)
    table = [[name, *(values.get(dtype, tables.NONE) for dtype in dtypes)] for name, values in found.items()]
    return [["", *dtypes], *table]


def reading(rows: Sequence[RooflineRow]) -> str:
    """The bandwidth for some of the sizes, and for what no cache holds."""
    sizes = [row for row in rows if row.what == "reading"]
    shown = [*sizes[:-1:SHOWN], sizes[-1]]
    return "reading: " + ", ".join(f"{_size(row)} at {_value(row)}" for row in shown)


def legend(rows: Sequence[TimingRow]) -> Iterator[str]:
    """What the column means, and where it cannot be right."""
    if all(row.roofline_share is None for row in rows):
        return
    yield "≥: lower bound of the time of a call, by the roofline of this machine;"
    yield "share: lower bound ÷ time, the share of the roofline, which cannot be above 1."
    for sentence in above(rows):
        yield from tables.wrapped(sentence)


def above(rows: Sequence[TimingRow]) -> Iterator[str]:
    """Which rows are quicker than they can be."""
    for row in rows:
        if row.roofline_share is not None and row.roofline_share > 1:
            yield (
                f"{row.arm} is at {tables.part(row.roofline_share)} of the limit ({tables.case_title(row)}): "
                "the limit is wrong there, or one of the two was disturbed."
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
