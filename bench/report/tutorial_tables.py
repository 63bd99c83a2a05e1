"""The tables of ``tutorials``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.records import schema
from bench.records.tutorial_schema import TutorialRow, Tutorials
from bench.report import tables
from bench.report.layout import Paragraph
from bench.tutorials import printed, reproduce, times
from bench.tutorials.programs import Program, Tutorial

WIDTHS = (21, 18, 18, 16, 5)
"""Widths of the columns in the table of figures, in characters. Longer text is wrapped."""

MANY = 6
"""A figure of up to this many numbers is shown in full; of a longer one, the first three numbers."""


def figures_and_times(
    chosen: Sequence[Tutorial], names: Sequence[str], document: Tutorials
) -> Iterator[RenderableType]:
    """For each tutorial, its printed figures, trainings and times, compared with those of the backends."""
    yield Paragraph(f"backends: {', '.join(names)}")
    yield ""
    for tutorial in chosen:
        yield Text(f"{tutorial.key}: {tutorial.title}", style="bold")
        yield ""
        rows = [row for row in document.rows if row.document == tutorial.key]
        for part, members in groupby(rows, lambda row: row.part):
            yield from _part(part, list(members), names)
        yield from map(tables.item, document.remarks[tutorial.key])
        if reproduce.BY_GRAPH not in names and any(
            part.by_graph for part in tutorial.parts if not isinstance(part, Program)
        ):
            yield tables.item("The figures of single nodes are left out, because they need --backend graph.")
        yield ""


def _part(name: str, rows: Sequence[TutorialRow], backends: Sequence[str]) -> Iterator[RenderableType]:
    figures = [row for row in rows if row.kind == "figure"]
    if figures:
        yield Text(name, style="bold")
        yield from _figures(figures, backends)
    yield from (Text(f"{row.backend} failed: {row.note}", style="red") for row in rows if row.kind == "failure")
    agreements = [row for row in rows if row.kind == "agreement"]
    if agreements:
        if not figures:
            yield Text(name, style="bold")
        yield from _training(agreements, [row for row in rows if row.kind == "time"])
    elif any(row.kind == "speedup" for row in rows):
        yield Text(name, style="bold")
        yield from _times(rows)


def _figures(rows: Sequence[TutorialRow], backends: Sequence[str]) -> Iterator[RenderableType]:
    """A line for each figure and each distinct value that the backends give for it."""
    table = tables.plain("figure", "printed", "computed", "by", "equal", left=5)
    for column, width in zip(table.columns, WIDTHS, strict=True):
        column.max_width = width
        column.overflow = "fold"
    groups: list[list[str]] = []
    sources = {row.source: None for row in rows if row.source}
    for (title, print_of, source), members in _by_figure(rows).items():
        values: dict[tuple[str, bool], list[TutorialRow]] = {}
        for row in members:
            values.setdefault((computed_text(row), row.ok), []).append(row)
        for computed, ok in values:
            by = [row.backend for row in values[computed, ok] if row.backend is not None]
            groups.append(by)
            table.add_row(
                title + ("°" if source else ""),
                shortened(print_of),
                shortened(computed),
                _counted(by, backends),
                "NO" if not ok else "below" if values[computed, ok][0].form == "below all" else "yes",
                style=None if ok else "red",
            )
            title, print_of = "", ""
    yield table
    yield from _named(groups, backends)
    yield from (f"° printed by {source}, because the tutorial states no seed." for source in sources)
    yield ""


def _training(agreements: Sequence[TutorialRow], time_rows: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """A table of each backend's training time and largest difference from the comparison backend."""
    time_of = {row.backend: row for row in time_rows}
    printed_time = next((row.printed for row in time_rows if row.printed), None)
    yield f"full training, one run each{f'; the tutorial says {printed_time!r}' if printed_time else ''}:"
    table = tables.plain("backend", "time", "difference", "compared over", "equal")
    for row in agreements:
        time = time_of.get(row.backend)
        estimated = time is not None and time.note.startswith("from")
        table.add_row(
            row.backend,
            ("about " if estimated else "") + tables.duration(_number(time)),
            _difference(row),
            row.note,
            "yes" if row.ok else "NO",
            style=None if row.ok else "red",
        )
    yield table
    yield f"difference: largest relative difference from {reproduce.COMPARISON_BACKEND};"
    yield f"up to {reproduce.AGREEMENT:g}, the backends count as equal."
    if any(row.note.startswith("from") for row in time_rows):
        yield "about: extrapolated from the epochs that were run for the comparison."
    yield ""


def _difference(row: TutorialRow) -> str:
    if row.backend == reproduce.COMPARISON_BACKEND:
        return tables.NONE
    return "NaN" if row.value is None else f"{_number(row):.0e}"


def _times(rows: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """Times and speedups for one sample, and their ratios to the tutorial's."""
    texts = [
        f"{_form(row)} {tables.duration(float(row.printed))}" for row in rows if row.kind == "time" and row.printed
    ]
    texts += [f"speedup {row.printed}" for row in rows if row.kind == "speedup" and row.printed]
    yield f"the tutorial prints: {', '.join(dict.fromkeys(texts))}"
    table = tables.plain("backend", "time", "÷ tutorial", "speedup", "÷ tutorial")
    speedups = {row.backend: row for row in rows if row.kind == "speedup"}
    for row in rows:
        if row.kind != "time":
            continue
        speedup = speedups.get(row.backend)
        table.add_row(
            row.backend,
            tables.duration(_number(row)) if row.ok else "failed",
            tables.number(row.ratio),
            _interval(speedup) if speedup else "1" if row.ok else tables.NONE,
            tables.number(speedup.ratio) if speedup else tables.NONE,
        )
    yield table
    yield f"speedup: over {times.LOOPS}, with its 95 % interval; ÷ tutorial: value on this machine ÷ the tutorial's."
    yield Paragraph(tables.WITHIN_RUN)
    yield from (Text(f"{row.backend} failed: {row.note}", style="red") for row in rows if not row.ok)
    yield ""


def score(rows: Sequence[TutorialRow]) -> Iterator[str]:
    """How many printed figures are reproduced, of the tutorials and of the rewrites of tutorials without a seed."""
    figure_rows = [row for row in rows if row.kind == "figure"]
    figures = [
        by_backend
        for _, members in groupby(figure_rows, lambda row: (row.document, row.part))
        for by_backend in _by_figure(list(members)).values()
    ]
    for title, in_tutorial in (("printed figures", True), ("figures of rewrites", False)):
        group = [figure for figure in figures if (figure[0].source == "") is in_tutorial]
        if group:
            same = [figure for figure in group if figure[0].form != "below all" and all(row.ok for row in figure)]
            yield f"{title}: {len(same)} of {len(group)} reproduced"
    yield from (
        f"not reproducible, see the remark above: {figure[0].document}, {figure[0].figure} {figure[0].printed}"
        for figure in figures
        if figure[0].form == "below all" and all(row.ok for row in figure)
    )


def figure_findings(rows: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """A line for each figure that is not reproduced, with the backends that miss it."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if not row.ok:
            wrong.setdefault((row.document, row.part, row.figure), []).append(row.backend or "")
    for (tutorial, part, figure), backends in wrong.items():
        yield Text(f"not equal: {tutorial}, {part}: {figure}: {', '.join(backends)}", style="red")


def _by_figure(rows: Sequence[TutorialRow]) -> dict[tuple[str, str, str], list[TutorialRow]]:
    """The rows of one part by name of the figure, printed text and source."""
    figures: dict[tuple[str, str, str], list[TutorialRow]] = {}
    for row in rows:
        figures.setdefault((row.figure, row.printed or "", row.source), []).append(row)
    return figures


def computed_text(row: TutorialRow) -> str:
    """The computed value as text, to as many digits as are printed."""
    if row.value is None or row.printed is None:
        return "NaN" if row.printed else tables.NONE
    numbers = row.value if isinstance(row.value, list) else [row.value]
    return printed.shown(
        [math.nan if number is None else number for number in numbers], row.printed, row.form or "rounded"
    )


def shortened(numbers: str) -> str:
    """The numbers of a printed figure, or the first three of many."""
    parts = numbers.split()
    return numbers if len(parts) <= MANY else f"{' '.join(parts[:3])} … ({len(parts)} numbers)"


def _number(row: TutorialRow | None) -> float | None:
    return row.value if row is not None and isinstance(row.value, float) else None


def _form(row: TutorialRow) -> str:
    return "loops" if row.backend == times.LOOPS else "matrix form"


def _counted(by: Sequence[str], backends: Sequence[str]) -> str:
    """The backends that give a value: a single one by name, several by their number."""
    if len(by) < 2:
        return "".join(by) or tables.NONE
    return "all" if len(by) == len(backends) else f"{len(by)} of {len(backends)}"


def _named(groups: Sequence[Sequence[str]], backends: Sequence[str]) -> Iterator[str]:
    """The names of the backends that ``_counted`` shows as a number."""
    for by in dict.fromkeys(map(tuple, groups)):
        if 1 < len(by) < len(backends):
            yield f"{_counted(by, backends)}: {', '.join(by)}"


def _interval(row: TutorialRow) -> str:
    estimate = _number(row)
    if estimate is None:
        return tables.NONE
    return tables.interval(schema.Ratio(estimate=estimate, low=row.low, high=row.high))
