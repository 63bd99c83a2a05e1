"""The gate's answer, as rich renderables that fit into 80 columns and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.cases import samples
from bench.records.gate_schema import Gate, GateRow
from bench.records.schema import Ratio
from bench.report import tables

STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
SESSIONS = """\
change: speedup over python_loops in the recorded sessions ÷ that of now, with
the predicted interval; MDE: minimum detectable effect, the smallest slowdown
that is suspected with probability 80 %."""
LEGEND = """\
time: head ÷ base, with the interval that the verdict uses; speedup: speedup
over python_loops, head ÷ base; MDE: minimum detectable effect, the smallest
slowdown that is suspected with probability 80 %."""


def text(document: Gate) -> Iterator[RenderableType]:
    """A table for each case, the rows that did not pass in words, what else is to be known, the verdict."""
    for title, members in cases(document.rows):
        columns = ("change", "MDE") if document.base is None else ("time", "speedup", "MDE")
        table = tables.plain("backend", *columns, "verdict")
        for row in members:
            speedup = () if document.base is None else (percent(_estimate(row.speedup_change)),)
            verdict = Text(row.verdict, style=STYLES[row.verdict])
            table.add_row(row.backend, change(row.change), *speedup, percent(row.minimum_detectable_effect), verdict)
        yield Text(title, style="bold")
        yield table
        yield ""
    told = list(sentences(document.rows))
    for line in told:
        yield from tables.item(line)
    if told:
        yield ""
    yield legend(document)
    yield ""
    for note in document.notes:
        yield from tables.wrapped(note)
    yield Text(f"{document.verdict}: {summary(document)}", style=STYLES[document.verdict])


def markdown(document: Gate) -> str:
    """The same for a job's summary."""
    lines = [f"## mlpbench gate: {document.verdict}", "", f"{summary(document)}.", ""]
    for title, members in cases(document.rows):
        lines += [f"**{title}**", "", "| backend | base | head | time | speedup | MDE | verdict |"]
        lines += ["| --- | ---: | ---: | --- | ---: | ---: | --- |"]
        for row in members:
            cells = (
                row.backend,
                tables.duration(row.base_seconds),
                tables.duration(row.head_seconds),
                change(row.change),
                percent(_estimate(row.speedup_change)),
                percent(row.minimum_detectable_effect),
                row.verdict,
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    told = [f"- {line}".replace("|", "\\|") for line in sentences(document.rows)]
    notes = [f"{note}\n" for note in document.notes]
    return "\n".join([*lines, *told, *([""] if told else []), " ".join(legend(document).splitlines()), "", *notes])


def legend(document: Gate) -> str:
    """What the columns are."""
    return SESSIONS if document.base is None else LEGEND


def sentences(rows: Sequence[GateRow]) -> Iterator[str]:
    """The rows of which there is something to say; together those of which it is the same and that have no figures."""
    alike = Counter((row.verdict, row.reason) for row in rows if row.reason and row.change is None)
    for (verdict, reason), count in alike.items():
        if count > 1:
            yield f"{count} rows: {verdict}: {reason}"
    for row in rows:
        if row.reason and (row.change is not None or alike[row.verdict, row.reason] == 1):
            yield sentence(row)


def sentence(row: GateRow) -> str:
    """A row's verdict in words, with its numbers."""
    numbers = [f"change {change(row.change)}"] if row.change is not None else []
    if row.base_seconds is not None and row.head_seconds is not None:
        numbers.append(f"{tables.duration(row.base_seconds)} → {tables.duration(row.head_seconds)}")
    if row.changed_times:
        numbers.append(f"changed: {', '.join(row.changed_times)}")
    shown = f" ({'; '.join(numbers)})" if numbers else ""
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.backend}, {title(row)}: {row.verdict}{reason}{shown}"


def summary(document: Gate) -> str:
    """Head, base and how many rows have which verdict."""
    counts = [
        f"{count} {verdict}" for verdict in STYLES if (count := sum(row.verdict == verdict for row in document.rows))
    ]
    base = "" if document.base is None else f" against {document.base.title}"
    return f"{document.head.title}{base}: {', '.join(counts)}"


def title(row: GateRow) -> str:
    """Operation, network and batch of a row."""
    return f"{row.operation} {'-'.join(map(str, row.layer_sizes))}, {samples(row.batch)}"


def cases(rows: Sequence[GateRow]) -> Iterator[tuple[str, list[GateRow]]]:
    """Rows by case, which follow one another."""
    for name, members in groupby(rows, title):
        yield name, list(members)


def change(ratio: Ratio | None) -> str:
    """A change with its interval, in percent."""
    if ratio is None:
        return tables.NONE
    low, high = (percent(end).removesuffix(" %") for end in (ratio.low, ratio.high))
    return f"{percent(ratio.estimate)} [{low}, {high}]"


def percent(ratio: float | None) -> str:
    """What a ratio is above 1, in percent."""
    return tables.NONE if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def _estimate(ratio: Ratio | None) -> float | None:
    return None if ratio is None else ratio.estimate
