"""The tables and findings of ``scale``, as rich renderables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import sqrt
from statistics import median

from rich.console import RenderableType
from rich.text import Text

from bench import cases
from bench.records.scale_schema import CrossoverRow, Scale, ScaleRow, TieRow
from bench.records.schema import Ratio
from bench.report import tables
from bench.report.layout import Paragraph
from bench.scale import points
from bench.scale.bisection import STEPS
from bench.scale.crossovers import CONFIDENCE, MARGIN
from bench.scale.growth import MAX_CALL_SECONDS
from bench.selection import REFERENCE
from pairbench.measure import AA_CONTROL
from pairbench.wording import in_percent

BASES = {
    "width": f"depth {points.DEPTH}, {cases.samples(points.BATCH)}",
    "depth": f"width {points.WIDTH}, {cases.samples(points.BATCH)}",
    "batch": f"width {points.WIDTH}, depth {points.DEPTH}",
}


def dimensions(rows: Sequence[ScaleRow], names: Sequence[str]) -> Iterator[RenderableType]:
    """For each dimension, a table of times and one of speedups; below the tables, why a backend failed."""
    yield Paragraph(
        "Forward pass in float64. All layers of a network, the input included, have the same width. Batch 1 is a call "
        "with a single sample. Sizes between those of the grid are timed only for backends that overtake each other "
        "there."
    )
    yield ""
    for dimension in points.DIMENSIONS:
        dimension_rows = [row for row in rows if row.dimension == dimension.name and row.arm != AA_CONTROL]
        title = f"{dimension.name}; {BASES[dimension.name]}"
        yield Text(f"{title}: time per call", style="bold")
        yield from _table(dimension.name, dimension_rows, names, _time)
        if any(row.predicted_seconds is not None for row in dimension_rows):
            yield f"(in brackets: predicted time of a call that was not run, as it is over {MAX_CALL_SECONDS:g} s)"
        yield ""
        yield Text(f"{title}: speedup over {REFERENCE}", style="bold")
        yield from _table(dimension.name, dimension_rows, names, _speedup)
        yield from _intervals(dimension_rows)
        yield ""
    yield Paragraph(tables.WITHIN_RUN)
    yield ""
    failed = {row.backend: row for row in reversed(rows) if not row.ok}
    for row in failed.values():
        yield Text(f"{row.backend} failed at {_place(row)}: {row.reason}", style="red")
    yield from [""] if failed else []


def crossover_findings(document: Scale) -> Iterator[RenderableType]:
    """The crossovers, and the sizes at which no difference between two backends was detected."""
    yield Text("crossovers", style="bold")
    for row in document.crossovers:
        yield tables.item(_crossover(row))
    if not document.crossovers:
        yield "none: no backend overtakes another"
    yield Paragraph(
        f"Between two sizes: the {in_percent(CONFIDENCE)} interval of the ratio of the times shows that one backend is "
        f"faster at the first, and the other at the second, each by more than {in_percent(MARGIN)}. At a size: no "
        f"difference was detected there, but one was just below and just above it. Up to {STEPS} sizes were timed to "
        "narrow a crossover."
    )
    yield ""
    if document.ties:
        yield Text("no difference detected", style="bold")
        yield from map(tables.item, _ties(document.ties))
        yield Paragraph(
            f"At these sizes the {in_percent(CONFIDENCE)} intervals show no difference of {in_percent(MARGIN)} or "
            "more. In brackets: the largest factor between the times that the intervals allow."
        )
        yield ""


def crossover_place(row: CrossoverRow) -> str:
    """Where a crossover is: "between width 6 and 7", or "at width 7" if it is the only size left between 6 and 8."""
    undecided = ", ".join(map(str, row.undecided))
    if undecided and row.right - row.left == 2:
        return f"at {row.dimension} {undecided}"
    return f"between {row.dimension} {row.left} and {row.right}" + (
        f" (no difference detected at {undecided})" if undecided else ""
    )


def break_even_table(document: Scale) -> Iterator[RenderableType]:
    """The number of calls after which compiling breaks even with the reference."""
    if not document.break_even:
        return
    yield Text(f"break-even with {REFERENCE}: calls of one sample that make up for compiling", style="bold")
    table = tables.plain("backend", "network", "cold", "cached", "calls, cold", "calls, cached", left=2)
    for row in document.break_even:
        calls = ["never" if count is None else f"{count:,}" for count in (row.cold_calls, row.cached_calls)]
        seconds = tables.duration(row.cold_seconds), tables.duration(row.cached_seconds)
        table.add_row(row.backend, row.network, *seconds, *calls)
    yield table
    yield "cold: time to compile; cached: time to load the compiled code from the cache."
    yield ""


def aa(rows: Sequence[ScaleRow]) -> list[tuple[Ratio, str, str]]:
    """For each case, the A/A control: its ratio, backend, and title of the case."""
    controls = {}
    for row in rows:
        if row.arm == AA_CONTROL and row.speedup:
            controls[row.case] = row.speedup, row.backend, _place(row)
    return list(controls.values())


def _table(
    dimension: str, rows: Sequence[ScaleRow], names: Sequence[str], cell: Callable[[ScaleRow | None], str]
) -> Iterator[RenderableType]:
    table = tables.plain(dimension, *(name.replace("_", "_\n") for name in names), left=0)
    for value, members in groupby(rows, lambda row: row.value):
        by_name = {row.backend: row for row in members}
        cells = [cell(by_name.get(name)) for name in names]
        if any(text != tables.NONE for text in cells):
            table.add_row(str(value), *cells)
    yield table


def _time(row: ScaleRow | None) -> str:
    if row is None:
        return tables.NONE
    if row.predicted_seconds is not None:
        return f"({tables.duration(row.predicted_seconds)})"
    return tables.duration(row.seconds) if row.ok else "failed"


def _speedup(row: ScaleRow | None) -> str:
    if row is None or row.speedup is None:
        return tables.NONE
    return "1" if row.backend == REFERENCE else tables.number(row.speedup.estimate)


def _intervals(rows: Sequence[ScaleRow]) -> Iterator[str]:
    """The median and the largest width of the 95 % intervals."""
    widths = [
        (sqrt(row.speedup.high / row.speedup.low) - 1, row)
        for row in rows
        if row.backend != REFERENCE and row.speedup and row.speedup.low and row.speedup.high
    ]
    if widths:
        middle, (most, row) = median(width for width, _ in widths), max(widths, key=lambda pair: pair[0])
        yield f"95 % intervals: half of them are within ±{in_percent(middle, 1)};"
        yield f"the widest is ±{in_percent(most, 1)} ({row.backend} at {row.dimension} {row.value})"


def _crossover(row: CrossoverRow) -> str:
    return f"{row.faster_above} overtakes {row.faster_below} {crossover_place(row)}"


def _ties(rows: Sequence[TieRow]) -> Iterator[str]:
    """A sentence for each pair of backends."""
    for a, b in dict.fromkeys(row.backends for row in rows):
        places = [
            f"{row.dimension} {row.left if row.left == row.right else f'{row.left} to {row.right}'}"
            + ("" if row.within is None else f" ({tables.number(row.within)})")
            for row in rows
            if row.backends == (a, b)
        ]
        yield f"{a} and {b}: {', '.join(places)}"


def _place(row: ScaleRow) -> str:
    return f"{row.dimension} {row.value}" if row.dimension else "-".join(map(str, row.layer_sizes))
