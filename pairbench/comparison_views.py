"""Shows a comparison of functions as flat rows, CSV, Markdown, HTML and a picture."""

from __future__ import annotations

import csv
import html
import io
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pairbench.markdown import list_item, table_row
from pairbench.statistics import Interval
from pairbench.visible_text import one_line

if TYPE_CHECKING:
    from pairbench.comparison import Comparison, Row

COLUMNS = (
    *("candidate", "reference", "seconds", "reference_seconds", "speedup", "low", "high", "aa_low", "aa_high"),
    *("processes", "blocks", "equal", "reason", "remarks"),
)
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (0.0, "ns"))
HEADINGS = ("function", "time", "speedup", "interval")
WIDTH, NAME_WIDTH, BAR_HEIGHT, MARGIN = 640, 200, 28, 12
"""Sizes in the picture, in pixels."""


def seconds_text(seconds: float | None) -> str:
    """A time with its unit, such as "1.23 µs"."""
    if seconds is None:
        return "—"
    scale, unit = next((scale, unit) for scale, unit in UNITS if seconds >= scale)
    return f"{seconds / (scale or 1e-9):.3g} {unit}"


def ends_text(interval: Interval | None) -> str:
    """The ends of an interval, such as "[1.98, 2.03]"."""
    if interval is None or interval.low is None or interval.high is None:
        return "—"
    return f"[{interval.low:.3g}, {interval.high:.3g}]"


def ratio_text(interval: Interval | None) -> str:
    """A ratio with its interval, such as "2 [1.98, 2.03]"."""
    return "—" if interval is None else f"{interval.estimate:.3g} {ends_text(interval)}"


def scope(comparison: Comparison) -> str:
    """What the intervals are for, as a sentence."""
    if comparison.processes == 1:
        return (
            f"95 % intervals for the median within this process, from {comparison.blocks} blocks; "
            "another process may differ by more."
        )
    return f"95 % intervals for the median over fresh processes, from {comparison.processes} of them."


def notes(comparison: Comparison) -> Iterator[str]:
    """The lines below a table: what is wrong with rows, what is noticeable, the A/A control and the scope."""
    for row in (comparison.reference, *comparison.rows):
        if row.difference:
            same = "returns another result for equal arguments" if row is comparison.reference else "is not equal"
            yield f"{row.name} {same}: {row.difference}"
        if row.reason:
            yield f"{row.name} {row.reason}"
        yield from (f"{row.name} {remark}" for remark in row.remarks)
    if comparison.control is not None:
        yield f"A/A control, the reference against itself: {ratio_text(comparison.control)}"
    if comparison.blocks:
        collection = "on" if comparison.collection else "off"
        yield f"{scope(comparison)} Garbage collector: {collection}."


def cells(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    """The cells of the table, below ``HEADINGS``."""
    reference = comparison.reference
    return [
        (
            f"{one_line(reference.name)} (reference)",
            seconds_text(reference.seconds),
            "1" if comparison.blocks else "—",
            "",
        ),
        *(
            (
                one_line(row.name),
                seconds_text(row.seconds),
                "—" if row.speedup is None else f"{row.speedup.estimate:.3g}",
                ends_text(row.speedup),
            )
            for row in comparison.rows
        ),
    ]


def aligned(comparison: Comparison) -> list[str]:
    """The table as lines of text, with aligned columns."""
    rows = [HEADINGS, *cells(comparison)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    name, *numbers = widths
    return [
        "  ".join([f"{row[0]:<{name}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], numbers, strict=True))])
        for row in rows
    ]


def flat_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """The rows of ``Comparison.to_rows``."""
    return [_flat_row(comparison, row) for row in comparison.rows]


def _flat_row(comparison: Comparison, row: Row) -> dict[str, Any]:
    speedup, control = row.speedup, comparison.control
    values = (
        *(row.name, comparison.reference.name, row.seconds, comparison.reference.seconds),
        *((None, None, None) if speedup is None else (speedup.estimate, speedup.low, speedup.high)),
        *((None, None) if control is None else (control.low, control.high)),
        *(comparison.processes, comparison.blocks, not row.difference, row.reason or row.difference),
        "; ".join(row.remarks),
    )
    return dict(zip(COLUMNS, values, strict=True))


def csv_text(comparison: Comparison) -> str:
    """The rows as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat_rows(comparison))
    return stream.getvalue()


def markdown(comparison: Comparison) -> str:
    """The table and the notes in Markdown."""
    lines = [
        table_row(HEADINGS),
        "| --- | ---: | ---: | --- |",
        *map(table_row, cells(comparison)),
        "",
        *map(list_item, notes(comparison)),
    ]
    return "\n".join(lines) + "\n"


def html_text(comparison: Comparison) -> str:
    """The table, the notes and the picture in HTML."""
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells(comparison))
    below = "".join(f"<li>{html.escape(one_line(note))}</li>" for note in notes(comparison))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><ul>{below}</ul>{svg(comparison)}"


def svg(comparison: Comparison) -> str:
    """The speedups with their intervals on a logarithmic axis, and a line at 1."""
    rows = [row for row in comparison.rows if row.speedup is not None]
    height = BAR_HEIGHT * (len(rows) + 1) + 2 * MARGIN
    ends = [1.0, *(end for row in rows for end in _drawn_ends(row))]
    low, high = math.log(min(ends)) - 0.1, math.log(max(ends)) + 0.1

    def x(value: float) -> float:
        return NAME_WIDTH + (math.log(value) - low) / (high - low) * (WIDTH - NAME_WIDTH - MARGIN - 60)

    parts = [f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{MARGIN}" y2="{height - BAR_HEIGHT}" stroke="gray"/>']
    parts.append(_text(x(1), height - MARGIN, f"1 = {comparison.reference.name}", "middle"))
    for place, row in enumerate(rows):
        assert row.speedup is not None
        y, (left, right) = MARGIN + BAR_HEIGHT * (place + 0.5), map(x, _drawn_ends(row))
        parts.append(_text(NAME_WIDTH - MARGIN, y + 4, row.name, "end"))
        parts.append(f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{y}" y2="{y}" stroke="#0072b2" stroke-width="3"/>')
        parts.append(f'<circle cx="{x(row.speedup.estimate):.1f}" cy="{y}" r="5" fill="#0072b2"/>')
        parts.append(_text(right + MARGIN, y + 4, f"{row.speedup.estimate:.3g}", "start"))
    title = f"<title>Speedup over {html.escape(one_line(comparison.reference.name))}</title>"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" font-family="sans-serif" font-size="13">{title}{"".join(parts)}</svg>'
    )


def _drawn_ends(row: Row) -> tuple[float, float]:
    """The ends of the interval, or the estimate twice where it has none."""
    assert row.speedup is not None
    low, high = row.speedup.low, row.speedup.high
    return (row.speedup.estimate,) * 2 if low is None or high is None else (low, high)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="currentColor">{html.escape(one_line(text))}</text>'
