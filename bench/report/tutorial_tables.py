"""The tables of ``tutorials``."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.records import schema
from bench.records.schema import TutorialRow, Tutorials
from bench.report import tables
from bench.tutorials import printed, reproduce, times
from bench.tutorials.programs import Program, Tutorial

WIDTHS = (21, 18, 18, 16, 5)
"""Characters of the columns of the figures; what is longer is wrapped."""

MANY = 6
"""As many numbers of one figure are shown; of more, the first ones."""


def figures_and_times(
    chosen: Sequence[Tutorial], names: Sequence[str], document: Tutorials
) -> Iterator[RenderableType]:
    """For each tutorial its figures, trainings and times, beside those of the named backends."""
    yield from textwrap.wrap(f"backends: {', '.join(names)}", 80)
    yield ""
    for tutorial in chosen:
        yield Text(f"{tutorial.key}: {tutorial.title}", style="bold")
        yield ""
        rows = [row for row in document.rows if row.document == tutorial.key]
        for part, members in groupby(rows, lambda row: row.part):
            yield from _part(part, list(members), names)
        for text in document.remarks[tutorial.key]:
            yield from tables.item(text)
        if reproduce.BY_GRAPH not in names and any(
            part.by_graph for part in tutorial.parts if not isinstance(part, Program)
        ):
            yield "- The figures of single nodes are left out: they need --backend graph."
        yield ""


def _part(name: str, rows: Sequence[TutorialRow], backends: Sequence[str]) -> Iterator[RenderableType]:
    figures = [row for row in rows if row.kind == "figure"]
    if figures:
        yield Text(name, style="bold")
        yield from _figures(figures, backends)
    yield from (Text(f"{row.backend} failed: {row.note}", style="red") for row in rows if row.kind == "failure")
    trained = [row for row in rows if row.kind == "agreement"]
    if trained:
        if not figures:
            yield Text(name, style="bold")
        yield from _training(trained, [row for row in rows if row.kind == "time"])
    elif any(row.kind == "speedup" for row in rows):
        yield Text(name, style="bold")
        yield from _times(rows)


def _figures(rows: Sequence[TutorialRow], backends: Sequence[str]) -> Iterator[RenderableType]:
    """A line for each figure; where the backends differ in what is shown, a line for each of their values."""
    table = tables.plain("figure", "printed", "here", "by", "equal", left=5)
    for column, width in zip(table.columns, WIDTHS, strict=True):
        column.max_width = width
        column.overflow = "fold"
    groups: list[list[str]] = []
    sources = {row.source: None for row in rows if row.source}
    for (title, print_of, source), members in _by_figure(rows).items():
        values: dict[tuple[str, bool], list[TutorialRow]] = {}
        for row in members:
            values.setdefault((_here(row), row.ok), []).append(row)
        for here, ok in values:
            by = [row.backend for row in values[here, ok] if row.backend is not None]
            groups.append(by)
            table.add_row(
                title + ("°" if source else ""),
                _short(print_of),
                _short(here),
                _counted(by, backends),
                "NO" if not ok else "below" if values[here, ok][0].form == "below all" else "yes",
                style=None if ok else "red",
            )
            title, print_of = "", ""
    yield table
    yield from _named(groups, backends)
    yield from (f"° given by {source}; the document states no seed." for source in sources)
    yield ""


def _training(rows: Sequence[TutorialRow], trained: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """How long the training took, and how far a backend is from the yardstick."""
    seconds = {row.backend: row for row in trained}
    said = next((row.printed for row in trained if row.printed), None)
    yield f"training in full, one run each{f'; the document says {said!r}' if said else ''}:"
    table = tables.plain("backend", "time", "difference", "compared over", "equal")
    for row in rows:
        time = seconds.get(row.backend)
        estimated = time is not None and time.note.startswith("from")
        table.add_row(
            row.backend,
            ("about " if estimated else "") + tables.duration(_number(time)),
            _apart(row),
            row.note,
            "yes" if row.ok else "NO",
            style=None if row.ok else "red",
        )
    yield table
    yield f"difference: largest, relative, from {reproduce.COMPARISON_BACKEND};"
    yield f"at most {reproduce.AGREEMENT:g} is equal."
    if any(row.note.startswith("from") for row in trained):
        yield "about: by the epochs that were run, those of the comparison."
    yield ""


def _apart(row: TutorialRow) -> str:
    if row.backend == reproduce.COMPARISON_BACKEND:
        return tables.NONE
    return "NaN" if row.value is None else f"{_number(row):.0e}"


def _times(rows: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """Times and speedups of one sample, and their ratios to the document's."""
    said = [f"{_form(row)} {tables.duration(float(row.printed))}" for row in rows if row.kind == "time" and row.printed]
    said += [f"speedup {row.printed}" for row in rows if row.kind == "speedup" and row.printed]
    yield f"the document: {', '.join(dict.fromkeys(said))}"
    table = tables.plain("backend", "time", "÷ document", "speedup", "÷ document")
    speedups = {row.backend: row for row in rows if row.kind == "speedup"}
    for row in rows:
        if row.kind != "time":
            continue
        speedup = speedups.get(row.backend)
        table.add_row(
            row.backend,
            tables.duration(_number(row)) if row.ok else "no time",
            tables.number(row.ratio),
            _interval(speedup) if speedup else "1" if row.ok else tables.NONE,
            tables.number(speedup.ratio) if speedup else tables.NONE,
        )
    yield table
    yield f"speedup: over {times.LOOPS}; ÷ document: this machine's ÷ the document's."
    yield from (Text(f"{row.backend} got no time: {row.note}", style="red") for row in rows if not row.ok)
    yield ""


def score(rows: Sequence[TutorialRow]) -> Iterator[str]:
    """How many figures are reproduced: printed by a document; and given by a rewrite where that states no seed."""
    stated = [row for row in rows if row.kind == "figure"]
    figures = [
        found
        for _, members in groupby(stated, lambda row: (row.document, row.part))
        for found in _by_figure(list(members)).values()
    ]
    for title, of_document in (("printed figures", True), ("figures of rewrites", False)):
        members = [found for found in figures if (found[0].source == "") is of_document]
        if members:
            same = [found for found in members if found[0].form != "below all" and all(row.ok for row in found)]
            yield f"{title}: {len(same)} of {len(members)} reproduced"
    yield from (
        f"not to be had, as is said above: {found[0].document}, {found[0].figure} {found[0].printed}"
        for found in figures
        if found[0].form == "below all" and all(row.ok for row in found)
    )


def findings(rows: Sequence[TutorialRow]) -> Iterator[RenderableType]:
    """What is wrong, a line each, with the backends that it was found in."""
    wrong: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        if not row.ok:
            wrong.setdefault((row.document, row.part, row.figure), []).append(row.backend or "")
    for (document, part, figure), backends in wrong.items():
        yield Text(f"not equal: {document}, {part}: {figure}: {', '.join(backends)}", style="red")


def _by_figure(rows: Sequence[TutorialRow]) -> dict[tuple[str, str, str], list[TutorialRow]]:
    """The rows of one part by figure, what is printed, and by whom."""
    figures: dict[tuple[str, str, str], list[TutorialRow]] = {}
    for row in rows:
        figures.setdefault((row.figure, row.printed or "", row.source), []).append(row)
    return figures


def _here(row: TutorialRow) -> str:
    """The value in words: to the digits that are printed."""
    if row.value is None or row.printed is None:
        return "NaN" if row.printed else tables.NONE
    numbers = row.value if isinstance(row.value, list) else [row.value]
    return printed.shown([math.nan if one is None else one for one in numbers], row.printed, row.form or "rounded")


def _short(numbers: str) -> str:
    parts = numbers.split()
    return numbers if len(parts) <= MANY else f"{' '.join(parts[:3])} … ({len(parts)} numbers)"


def _number(row: TutorialRow | None) -> float | None:
    return row.value if row is not None and isinstance(row.value, float) else None


def _form(row: TutorialRow) -> str:
    return "loops" if row.backend == times.LOOPS else "matrix form"


def _counted(by: Sequence[str], backends: Sequence[str]) -> str:
    """Who gives a value: one by name, several by their number."""
    if len(by) < 2:
        return "".join(by) or tables.NONE
    return "all" if len(by) == len(backends) else f"{len(by)} of {len(backends)}"


def _named(groups: Sequence[Sequence[str]], backends: Sequence[str]) -> Iterator[str]:
    """The names behind the numbers."""
    for by in dict.fromkeys(map(tuple, groups)):
        if 1 < len(by) < len(backends):
            yield f"{_counted(by, backends)}: {', '.join(by)}"


def _interval(row: TutorialRow) -> str:
    estimate = _number(row)
    if estimate is None:
        return tables.NONE
    return tables.interval(schema.Ratio(estimate=estimate, low=row.low, high=row.high))
