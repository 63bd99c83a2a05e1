"""Parts that the charts share: colours, axes, bars with their texts, lines with a name at their end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

import altair as alt

from bench.page.timings import Entry

Spec = dict[str, Any]
"""A chart as a Vega-Lite specification."""

INK, MUTED, FAINT, ACCENT, PAGE = (f"var(--{name})" for name in ("ink", "muted", "faint", "accent", "page"))
"""The colours, as variables of the page's style sheet, which knows the light and the dark theme."""

ENTRIES = "entries"
HEIGHT = 340
ROW = 44
"""Height of a row of bars, in pixels."""
LABEL_STEP = 15
"""Height of a line's label, in pixels; nearer labels are moved apart."""
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
CONFIG: Any = {
    "font": "system-ui, sans-serif",
    "background": "transparent",
    "mark": {"aria": False},  # the tables say the same, in order; a chart is described as a whole
    "view": {"stroke": None},
    "text": {"color": INK, "fontSize": 12},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "titleFontWeight": "normal",
        "gridColor": FAINT,
        "gridOpacity": 0.5,
        "tickColor": FAINT,
        "domainColor": FAINT,
        "labelFontSize": 11,
        "titleFontSize": 12,
    },
}


def data(name: str = ENTRIES) -> alt.Chart:
    """A chart of the entries that ``spec`` holds by this name."""
    return alt.Chart(alt.NamedData(name))


def constant() -> alt.Chart:
    """A chart with a single entry without fields, for marks that depend on no data."""
    return alt.Chart(alt.InlineData(values=[{}]))


def bounds(values: Iterable[float | None]) -> tuple[float, float]:
    """The ends of a logarithmic axis with a little room around all positive values."""
    known = [value for value in values if value and value > 0]
    return min(known, default=1.0) / 1.3, max(known, default=1.0) * 1.3


def powers(values: Iterable[float | None]) -> tuple[float, float]:
    """The nearest powers of ten below and above all positive values."""
    logarithms = [log10(value) for value in values if value and value > 0]
    low, high = floor(min(logarithms, default=0)), ceil(max(logarithms, default=0))
    return 10.0**low, 10.0 ** max(high, low + 1)


def log_scale(low: float, high: float) -> alt.Scale:
    """A logarithmic scale with fixed ends."""
    return alt.Scale(type="log", domain=[low, high], nice=False)


def log_axis(low: float, high: float, label: str, title: str | None = None) -> alt.Axis:
    """An axis of a logarithmic scale, labelled at powers of ten. ``label`` is an expression for ``datum.value``."""
    first, last = ceil(log10(low)), floor(log10(high))
    ticks = [10.0**power for power in range(first, last + 1, 1 + (last - first) // 8)]
    return alt.Axis(labelExpr=label, values=ticks, title=title, labelOverlap=True)


def rows() -> alt.Y:
    """A row for each backend, in the order of the data; its name stands in the row."""
    return alt.Y("backend:N", sort=None, axis=None)


def height_of_rows(entries: Sequence[Entry]) -> int:
    """The height of a chart with a row for each backend."""
    return ROW * len({entry["backend"] for entry in entries})


def row_texts(base: alt.Chart, field: str) -> list[alt.Chart]:
    """The name of each row on the left, and a text of each row on the right, above what is drawn in the row."""
    name = base.mark_text(dy=-7, align="left", fontWeight="bold").encode(rows(), x=alt.value(0), text="backend:N")
    text = base.mark_text(dy=-7, align="right").encode(rows(), x=alt.value("width"), text=f"{field}:N")
    return [name, text]


def lines(base: alt.Chart, x: alt.X, y: alt.Y, name: str, tooltip: Sequence[Any], marked: str = "true") -> list[Any]:
    """A line for each ``name``, with points of a shape of its own where the expression ``marked`` is true."""
    tone = alt.condition(f"datum.{name} === highlight", alt.value(ACCENT), alt.value(MUTED))
    width = alt.condition(f"datum.{name} === highlight", alt.value(3), alt.value(1.3))
    line = base.mark_line(clip=True).encode(x, y, alt.Detail(f"{name}:N"), color=tone, strokeWidth=width)
    shape = alt.Shape(f"{name}:N", scale=alt.Scale(range=SHAPES), legend=None)
    point = base.transform_filter(marked).mark_point(size=42, filled=True, opacity=1, clip=True)
    return [line, point.encode(x, y, shape, color=tone, tooltip=list(tooltip))]


def end_labels(base: alt.Chart, x: str, y: alt.Y, name: str, height: str) -> alt.Chart:
    """The name of each line at its right end, where the field ``x`` is largest.

    ``height`` is an expression: where the line ends, from 0 at the bottom to 1 at the top. A label that would overlap
    the one above is moved down.
    """
    place = f"{HEIGHT} * (1 - ({height}))"
    ends = base.transform_joinaggregate(last=f"max({x})", groupby=[name]).transform_filter(f"datum.{x} === datum.last")
    ranked = ends.transform_calculate(place=place).transform_window(
        rank="row_number()", sort=[alt.SortField("place")], frame=[None, 0]
    )
    # Each label is at least a step below the one above: a running maximum, after the steps are taken off.
    moved = ranked.transform_calculate(free=f"datum.place - {LABEL_STEP} * datum.rank").transform_window(
        lowest="max(free)", sort=[alt.SortField("place")], frame=[None, 0]
    )
    label: alt.Chart = moved.mark_text(
        align="left",
        baseline="middle",
        x="width",
        dx=8,
        dy=alt.ExprRef(f"datum.lowest + {LABEL_STEP} * datum.rank - datum.place"),
    )
    tone = alt.condition(f"datum.{name} === highlight", alt.value(ACCENT), alt.value(INK))
    return label.encode(y, text=f"{name}:N", color=tone)


def log_height(field: str, low: float, high: float) -> str:
    """The expression for ``end_labels`` on a logarithmic axis."""
    return f"log(datum.{field} / {low}) / {log10(high / low)} / LN10"


def spec(
    layers: Sequence[Any],
    datasets: Mapping[str, Sequence[Entry]],
    parameters: Mapping[str, Any],
    description: str,
    height: int = HEIGHT,
) -> Spec:
    """A chart of layers that is as wide as its place, with named data and with parameters."""
    padding = {"left": 0, "right": 8, "top": 8, "bottom": 4}
    fit = alt.AutoSizeParams(contains="padding")
    chart = alt.layer(*layers).properties(
        width="container", height=height, description=description, padding=padding, autosize=fit
    )
    for name, value in parameters.items():
        chart = chart.add_params(alt.param(name=name, value=value))
    drawn: Spec = chart.configure(**CONFIG).to_dict()
    named = {name: list(rows) for name, rows in datasets.items()}
    return {**drawn, "datasets": {**drawn.get("datasets", {}), **named}}
