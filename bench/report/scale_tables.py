"""The tables and findings of ``scale``, as rich renderables; with the core backends they fit into 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import ceil, sqrt
from statistics import median

from rich.console import RenderableType
from rich.text import Text

from bench import cases
from bench.records.schema import CrossoverRow, Scale, ScaleRow, TieRow
from bench.report import tables
from bench.scale import points
from bench.scale.crossovers import CONFIDENCE, MARGIN
from bench.scale.growth import MAX_CALL_SECONDS
from bench.selection import REFERENCE
from pairbench.measure import AA_CONTROL

BASES = {
    "width": f"depth {points.DEPTH}, {cases.samples(points.BATCH)}",
    "depth": f"width {points.WIDTH}, {cases.samples(points.BATCH)}",
    "batch": f"width {points.WIDTH}, depth {points.DEPTH}",
}


def dimensions(rows: Sequence[ScaleRow], names: Sequence[str]) -> Iterator[RenderableType]:
    """For each dimension a table of times and one of speedups, and below them why a backend has none."""
    yield "forward of a network with as many inputs as nodes in each layer, float64;"
    yield "batch 1 is the call with one sample"
    yield ""
    for dimension in points.DIMENSIONS:
        here = [row for row in rows if row.dimension == dimension.name and row.arm != AA_CONTROL]
        title = f"{dimension.name}; {BASES[dimension.name]}"
        yield Text(f"{title}: time of a call", style="bold")
        yield from _table(dimension.name, here, names, _time)
        if any(row.predicted_seconds is not None for row in here):
            yield f"(in brackets: predicted to take over {MAX_CALL_SECONDS:g} s, and not run)"
        yield ""
        yield Text(f"{title}: speedup over {REFERENCE}", style="bold")
        yield from _table(dimension.name, here, names, _speedup)
        yield from _intervals(here)
        yield ""
    failed = {row.backend: row for row in reversed(rows) if not row.ok}
    for row in failed.values():
        yield Text(f"{row.backend} got no time at {_place(row)}: {row.reason}", style="red")
    yield from [""] if failed else []


def findings(document: Scale) -> Iterator[RenderableType]:
    """Where one backend overtakes another, and where two are about as fast as each other."""
    yield Text("crossovers", style="bold")
    for row in document.crossovers:
        yield from tables.item(_crossover(row))
    if not document.crossovers:
        yield "none: no backend overtakes another"
    yield "Between two points the ratio of the times goes straight in the logarithms; in"
    yield f"brackets, where the ends of its {CONFIDENCE * 100:g} % interval cross 1."
    yield ""
    if document.ties:
        yield Text("not told apart: about as fast as each other", style="bold")
        for sentence in _ties(document.ties):
            yield from tables.item(sentence)
        yield f"By the {CONFIDENCE * 100:g} % intervals these are not sure to differ by {MARGIN:.0%}, and may differ"
        yield "by the factor in brackets at most."
        yield ""


def break_even(document: Scale) -> Iterator[RenderableType]:
    """After how many calls compiling has paid."""
    if not document.break_even:
        return
    yield Text(f"calls of one sample after which compiling has paid, against {REFERENCE}", style="bold")
    table = tables.plain("backend", "network", "cold", "from cache", "calls", "from cache", left=2)
    for row in document.break_even:
        calls = ["never" if count is None else f"{count:,}" for count in (row.cold_calls, row.cached_calls)]
        seconds = tables.duration(row.cold_seconds), tables.duration(row.cached_seconds)
        table.add_row(row.backend, row.network, *seconds, *calls)
    yield table
    yield ""


def aa(rows: Sequence[ScaleRow]) -> list[tuple[float, str, str]]:
    """How far a backend was from itself: the distance from 1, the backend, the place; each case once."""
    found = {}
    for row in rows:
        if row.arm == AA_CONTROL and row.speedup:
            case = row.case
            found[case] = abs(row.speedup.estimate - 1), row.backend, _place(row)
    return list(found.values())


def _table(
    dimension: str, rows: Sequence[ScaleRow], names: Sequence[str], cell: Callable[[ScaleRow | None], str]
) -> Iterator[RenderableType]:
    table = tables.plain(dimension, *(name.replace("_", "_\n") for name in names), left=0)
    for value, members in groupby(rows, lambda row: row.value):
        by_name = {row.backend: row for row in members}
        table.add_row(str(value), *(cell(by_name.get(name)) for name in names))
    yield table


def _time(row: ScaleRow | None) -> str:
    if row is None:
        return tables.NONE
    if row.predicted_seconds is not None:
        return f"({tables.duration(row.predicted_seconds)})"
    return tables.duration(row.seconds) if row.ok else "no time"


def _speedup(row: ScaleRow | None) -> str:
    if row is None or row.speedup is None:
        return tables.NONE
    return "1" if row.backend == REFERENCE else tables.number(row.speedup.estimate)


def _intervals(rows: Sequence[ScaleRow]) -> Iterator[str]:
    """How wide the 95 % intervals are: in half of the cases, and at most."""
    found = [
        (sqrt(row.speedup.high / row.speedup.low) - 1, row)
        for row in rows
        if row.backend != REFERENCE and row.speedup and row.speedup.low and row.speedup.high
    ]
    if found:
        half, (most, row) = median(width for width, _ in found), max(found, key=lambda pair: pair[0])
        yield f"95 % intervals: half of them within ±{half:.1%},"
        yield f"the widest ±{most:.1%} ({row.backend} at {row.dimension} {row.value})"


def _crossover(row: CrossoverRow) -> str:
    return (
        f"{row.faster_above} overtakes {row.faster_below} from {row.dimension} {ceil(row.at)}"
        f": {tables.number(row.at)} [{tables.number(row.low)}, {tables.number(row.high)}]"
    )


def _ties(rows: Sequence[TieRow]) -> Iterator[str]:
    """A sentence for every two backends."""
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
