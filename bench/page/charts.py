"""The charts of the page, as Vega-Lite specifications.

The page sets their parameters, such as ``chosen_case``. Text from the files is data: it is never part of an expression,
a field's name or a title.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import altair as alt

from bench.page import marks
from bench.page.marks import ACCENT, ENTRIES, INK, MUTED, PAGE, Spec
from bench.page.timings import Entry

TIMES = "format(datum.value, '~g') + '×'"
SECONDS = "format(datum.value, '~s') + 's'"
MOST_CALLS = 9
"""The chart of gains ends at this power of ten."""
LEAST_GAIN = 1e-3


@dataclass(frozen=True)
class HistoryPoint:
    """A speedup with its interval, measured at a time with a commit; ``time`` is in ISO format."""

    case: str
    backend: str
    time: str
    commit: str
    speedup: float
    low: float
    high: float


def speedups(entries: Sequence[Entry], case: str, every: Sequence[Entry], description: str) -> Spec:
    """The speedups of a case as bars from 1, with intervals; the axis has room for those of ``every`` entry."""
    low, high = marks.bounds([1.0, *(entry[end] for entry in every for end in ("low", "high"))])
    x = alt.X("speedup:Q", scale=marks.log_scale(low, high), axis=marks.log_axis(low, high, TIMES))
    base = _of_case("speedup").transform_joinaggregate(best="max(speedup)")
    tone = alt.condition("datum.speedup === datum.best", alt.value(ACCENT), alt.value(MUTED))
    tooltip = _tooltip("backend", "speedup_text", "time_text")
    bar = base.mark_bar(height=7, yOffset=9, cornerRadius=2)
    whisker = base.mark_rule(yOffset=9, strokeWidth=2, color=INK)
    return marks.spec(
        [
            base.mark_tick(yOffset=9, thickness=1, size=18, color=MUTED).encode(marks.rows(), x=alt.datum(1)),
            bar.encode(x, marks.rows(), x2=alt.datum(1), color=tone, tooltip=tooltip),
            whisker.encode(alt.X("low:Q"), alt.X2("high:Q"), marks.rows(), tooltip=tooltip),
            *marks.row_texts(base, "speedup_text"),
        ],
        {ENTRIES: entries},
        {"chosen_case": case},
        description,
        height=marks.height_of_rows(entries),
    )


def errors(entries: Sequence[Entry], case: str) -> Spec:
    """The largest error of each backend of a case, as a share of its bound."""
    base = _of_case("share").transform_calculate(
        percent="100 * datum.share", text="datum.share_text + ' of bound, ' + datum.ulps_text + ' ulps'"
    )
    axis = alt.Axis(labelExpr="datum.label + ' %'", title=None, tickCount=5)
    bar = base.mark_bar(height=7, yOffset=9, cornerRadius=2, color=MUTED)
    return marks.spec(
        [
            bar.encode(alt.X("percent:Q", axis=axis), marks.rows(), tooltip=_tooltip("backend", "text")),
            *marks.row_texts(base, "text"),
        ],
        {ENTRIES: entries},
        {"chosen_case": case},
        "The largest error of each backend, in percent of the bound on the rounding error.",
        height=marks.height_of_rows(entries),
    )


def gains(entries: Sequence[Entry], case: str) -> Spec:
    """How many times as fast as the reference each backend is, compile time included, against the calls."""
    low, high = marks.powers(entry["speedup"] for entry in entries)
    if any(entry["cold"] for entry in entries):
        low = LEAST_GAIN
    base = (
        _of_case("seconds")
        .transform_calculate(of_reference="datum.backend === datum.reference ? datum.seconds : null")
        .transform_joinaggregate(reference_seconds="max(of_reference)")
        .transform_calculate(power=f"sequence(0, {MOST_CALLS + 0.1}, 0.125)")
        .transform_flatten(["power"])
        .transform_calculate(calls="pow(10, datum.power)")
        .transform_calculate(compiling="(cached ? datum.cached : datum.cold) || 0")
        .transform_calculate(
            gain="datum.calls * datum.reference_seconds / (datum.compiling + datum.calls * datum.seconds)"
        )
        .transform_filter(f"datum.gain >= {low}")
    )
    axis = alt.Axis(format="~s", tickCount=5, title="number of calls")
    x = alt.X("calls:Q", scale=marks.log_scale(1, 10**MOST_CALLS), axis=axis)
    y = alt.Y("gain:Q", scale=marks.log_scale(low, high), axis=marks.log_axis(low, high, TIMES))
    tooltip = [
        *_tooltip("backend"),
        alt.Tooltip("calls:Q", format=",.3~s"),
        alt.Tooltip("gain:Q", format=".3~g", title="times as fast, with compiling"),
    ]
    chosen = marks.constant().transform_calculate(calls="chosen_calls").mark_rule(color=INK, strokeDash=[2, 3])
    return marks.spec(
        [
            chosen.encode(x),
            marks.constant().mark_rule(color=MUTED).encode(y=alt.datum(1)),
            *marks.lines(base, x, y, "backend", tooltip, "datum.power % 2 === 0"),
            marks.end_labels(base, "calls", y, "backend", marks.log_height("gain", low, high)),
        ],
        {ENTRIES: entries},
        {"chosen_case": case, "chosen_calls": 1, "cached": False, "highlight": ""},
        "How many times as fast as the reference each backend is, compile time included, against the number of calls.",
    )


def growth_times(entries: Sequence[Entry], highlight: str) -> Spec:
    """The time of a call against the size, on logarithmic axes."""
    return _growth(entries, "seconds", SECONDS, highlight, "The time of a call of each backend, against the size.")


def growth_speedups(entries: Sequence[Entry], highlight: str) -> Spec:
    """The speedup against the size, on logarithmic axes."""
    return _growth(entries, "speedup", TIMES, highlight, "The speedup of each backend, against the size.")


def compile_times(entries: Sequence[Entry]) -> Spec:
    """The time to compile and the time to load the compiled code, of each backend that compiles."""
    low, high = marks.bounds(seconds for entry in entries for seconds in (entry["cold"], entry["cached"]))
    scale, axis = marks.log_scale(low, high), marks.log_axis(low, high, SECONDS)
    base = marks.data().transform_calculate(text="datum.cold_text + ' cold, ' + datum.cached_text + ' cached'")
    point = base.mark_point(yOffset=9, size=70, opacity=1, filled=True)
    tooltip = _tooltip("backend", "cold_text", "cached_text")
    return marks.spec(
        [
            base.mark_rule(yOffset=9, color=MUTED).encode(
                alt.X("cached:Q", scale=scale, axis=axis), alt.X2("cold:Q"), marks.rows()
            ),
            point.encode(alt.X("cold:Q"), marks.rows(), color=alt.value(ACCENT), tooltip=tooltip),
            point.encode(
                alt.X("cached:Q"), marks.rows(), color=alt.value(PAGE), stroke=alt.value(INK), tooltip=tooltip
            ),
            *marks.row_texts(base, "text"),
        ],
        {ENTRIES: entries},
        {},
        "The time to compile, and to load the compiled code from the cache, of each backend that compiles.",
        height=marks.height_of_rows(entries),
    )


def roofline(entries: Sequence[Entry], peaks: Sequence[Entry], dtype: str, highlight: str) -> Spec:
    """The rate of operations against the operations of a call, below the rate at the lower bound of each case."""
    rates = [entry[name] for entry in entries for name in ("rate", "bound")]
    low, high = marks.powers([*rates, *(peak["peak"] for peak in peaks)])
    base = marks.data().transform_filter("datum.dtype === dtype")
    peak = marks.data("peaks").transform_filter("datum.dtype === dtype")
    least, most = marks.bounds(entry["operations"] for entry in entries)
    axis = marks.log_axis(least, most, "format(datum.value, '~s')", "operations of a call")
    x = alt.X("operations:Q", scale=marks.log_scale(least, most), axis=axis)
    y_axis = marks.log_axis(low, high, "format(datum.value, '~s') + '/s'")
    y = alt.Y("rate:Q", scale=marks.log_scale(low, high), axis=y_axis)
    tooltip = _tooltip("case", "backend", "rate_text", "time_text", "bound_text", "share_text")
    others = base.transform_filter("datum.backend !== highlight").mark_point(size=34, color=MUTED, opacity=0.9)
    chosen = base.transform_filter("datum.backend === highlight").mark_point(
        filled=True, size=90, color=ACCENT, opacity=1, shape="diamond"
    )
    return marks.spec(
        [
            peak.mark_rule(color=INK).encode(alt.Y("peak:Q")),
            peak.mark_text(align="left", dx=4, dy=-9).encode(alt.Y("peak:Q"), x=alt.value(0), text="text:N"),
            base.mark_line(color=INK, strokeDash=[4, 3]).encode(x, alt.Y("bound:Q")),
            others.encode(x, y, tooltip=tooltip),
            chosen.encode(x, y, tooltip=tooltip),
        ],
        {ENTRIES: entries, "peaks": peaks},
        {"dtype": dtype, "highlight": highlight},
        "The rate of operations of each backend and case, below the roofline.",
    )


def operating_curves(entries: Sequence[Entry], recording: str, highlight: str) -> Spec:
    """The share of runs that end with FAIL, against the planted slowdown, for each rule."""
    base = marks.data().transform_filter("datum.recording === recording")
    x = alt.X("slowdown:Q", axis=alt.Axis(format="~%", title="planted slowdown", tickCount=5))
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="~%", title=None, tickCount=5))
    tooltip = [*_tooltip("rule", "text"), alt.Tooltip("slowdown:Q", format=".1%")]
    tooltip += [alt.Tooltip(f"{end}:Q", format=".1%") for end in ("low", "high")]
    band = base.transform_filter("datum.rule === highlight").mark_area(color=ACCENT, opacity=0.25)
    return marks.spec(
        [
            band.encode(x, alt.Y("low:Q"), alt.Y2("high:Q")),
            *marks.lines(base, x, y, "rule", tooltip),
            marks.end_labels(base, "slowdown", y, "rule", "datum.share"),
        ],
        {ENTRIES: entries},
        {"recording": recording, "highlight": highlight},
        "The share of runs in which the gate, and other rules, report a regression, against the slowdown.",
    )


def history(points: Sequence[HistoryPoint], case: str, highlight: str) -> Spec:
    """The speedups of a case over time, with bands for the intervals."""
    low, high = marks.bounds(end for point in points for end in (point.low, point.high))
    base = _of_case("speedup").transform_calculate(moment="toDate(datum.time)")
    x = alt.X("moment:T", axis=alt.Axis(title=None, tickCount=6, labelOverlap=True, format="%b %d, %H:%M"))
    y = alt.Y("speedup:Q", scale=marks.log_scale(low, high), axis=marks.log_axis(low, high, TIMES))
    band = base.mark_area(color=MUTED, opacity=0.2).encode(x, alt.Y("low:Q"), alt.Y2("high:Q"), alt.Detail("backend:N"))
    tooltip = _tooltip("backend", "commit", "time") + [
        alt.Tooltip(f"{name}:Q", format=".3~g") for name in ("speedup", "low", "high")
    ]
    return marks.spec(
        [
            band,
            *marks.lines(base, x, y, "backend", tooltip),
            marks.end_labels(base, "moment", y, "backend", marks.log_height("speedup", low, high)),
        ],
        {ENTRIES: [asdict(point) for point in points]},
        {"chosen_case": case, "highlight": highlight},
        "The speedup of each backend over time.",
    )


def _growth(entries: Sequence[Entry], field: str, label: str, highlight: str, description: str) -> Spec:
    known = [entry for entry in entries if entry[field] is not None]
    low, high = marks.powers(entry[field] for entry in known)
    base = marks.data().transform_filter("datum.dimension === dimension")
    x_axis = alt.Axis(format="~d", title=None, tickCount=6, labelOverlap=True)
    x = alt.X("size:Q", scale=alt.Scale(type="log", base=2, nice=False), axis=x_axis)
    y = alt.Y(f"{field}:Q", scale=marks.log_scale(low, high), axis=marks.log_axis(low, high, label))
    tooltip = [*_tooltip("backend", "time_text", "speedup_text"), alt.Tooltip("size:Q")]
    return marks.spec(
        [
            *marks.lines(base, x, y, "backend", tooltip),
            marks.end_labels(base, "size", y, "backend", marks.log_height(field, low, high)),
        ],
        {ENTRIES: known},
        {"dimension": "width", "highlight": highlight},
        description,
    )


def _of_case(field: str) -> alt.Chart:
    """The entries of the chosen case in which a field is known."""
    return marks.data().transform_filter(f"datum.case === chosen_case && isValid(datum.{field})")


def _tooltip(*fields: str) -> list[Any]:
    return [alt.Tooltip(f"{field}:N", title=field.removesuffix("_text")) for field in fields]
