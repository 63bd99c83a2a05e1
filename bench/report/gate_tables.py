"""The gate's result, as rich renderables and as Markdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.cases import samples
from bench.records.gate_schema import CountRecord, Gate, GateRow, SlowProcessesRecord
from bench.records.schema import Ratio
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.markdown import escaped, list_item, table_row

STYLES = {"PASS": "green", "FAIL": "bold red", "INCONCLUSIVE": "yellow"}
MDE = "MDE: minimum detectable effect, the smallest slowdown that is detected with probability 80 %."
SESSIONS = (
    "change: speedup over python_loops predicted by the recorded sessions ÷ speedup measured now, with the prediction "
    "interval. Above 0 %, the head is slower.",
    MDE,
)
LEGEND = (
    "time: mean change of the time from base to head, with the interval of which PASS needs the upper end below the "
    "threshold.",
    "typical: trimmed mean of the same changes. FAIL needs it above the threshold, and a head that is significantly "
    "slower.",
    "speedup: change of the speedup over python_loops from base to head.",
    "slow: processes that were slow for their whole life, of the head and of the base's two checkouts.",
    MDE,
)
COUNTS = (
    "bytecode: instructions of Python's interpreter in a call, exact. instructions: those of the machine, under "
    "Valgrind, in code for AVX2; a change below 0.5 % counts as unchanged. These counts explain a change of the time. "
    "They decide no verdict."
)
SAME_INSTRUCTIONS = 0.005
"""Relative change of the machine instructions below which they count as unchanged.

Equal sources gave equal counts. Edits of comments and unused functions, which move objects to other addresses, changed
the counts by up to 0.2 %.
"""


def text(document: Gate) -> Iterator[RenderableType]:
    """A table for each case, sentences on rows that have a reason, and the legend."""
    for title, members in cases(document.rows):
        columns = ("change", "MDE") if document.base is None else ("time", "typical", "speedup", "MDE", "slow")
        table = tables.plain("backend", *columns, "verdict")
        for row in members:
            verdict = Text(row.verdict, style=STYLES[row.verdict])
            mde = percent(row.minimum_detectable_effect)
            cells = (mde,) if document.base is None else (*_changes(row), mde, slow(row.slow_processes))
            table.add_row(row.backend, change(row.change), *cells, verdict)
        yield Text(title, style="bold")
        yield table
        yield ""
    reasons = list(sentences(document.rows))
    yield from map(tables.item, reasons)
    if reasons:
        yield ""
    explained = list(count_sentences(document.rows))
    yield from map(tables.item, explained)
    if explained:
        yield ""
    yield from map(Paragraph, gate_legend(document))
    yield ""


def verdict(document: Gate) -> list[RenderableType]:
    """The notes and the verdict."""
    notes = map(Paragraph, document.notes)
    return [*notes, Text(f"{document.verdict}: {verdict_summary(document)}", style=STYLES[document.verdict])]


def markdown(document: Gate) -> str:
    """The gate's result as Markdown, for the summary of a CI job."""
    lines = [f"## mlpbench gate: {document.verdict}", "", f"{escaped(verdict_summary(document))}.", ""]
    for title, members in cases(document.rows):
        lines += [
            f"**{escaped(title)}**",
            "",
            "| backend | base | head | time | typical | speedup | MDE | slow | verdict |",
        ]
        lines += ["| --- | ---: | ---: | --- | ---: | ---: | ---: | --- | --- |"]
        for row in members:
            cells = (
                row.backend,
                tables.duration(row.base_seconds),
                tables.duration(row.head_seconds),
                change(row.change),
                *_changes(row),
                percent(row.minimum_detectable_effect),
                slow(row.slow_processes),
                row.verdict,
            )
            lines.append(table_row(cells))
        lines.append("")
    reasons = list(map(list_item, sentences(document.rows)))
    explained = list(map(list_item, count_sentences(document.rows)))
    legend = escaped(" ".join(gate_legend(document)))
    notes = [*map(list_item, document.notes), *([""] if document.notes else [])]
    paragraphs = [line for items in (reasons, explained) if items for line in (*items, "")]
    return "\n".join([*lines, *paragraphs, legend, "", *notes])


def gate_legend(document: Gate) -> tuple[str, ...]:
    """The meaning of the columns, in sentences."""
    if document.base is None:
        return SESSIONS
    return (*LEGEND, COUNTS) if any(count_sentences(document.rows)) else LEGEND


def sentences(rows: Sequence[GateRow]) -> Iterator[str]:
    """A sentence for each row that has a reason. Rows without figures share one if verdict and reason are the same."""
    counts = Counter((row.verdict, row.reason) for row in rows if row.reason and row.change is None)
    for (verdict, reason), count in counts.items():
        if count > 1:
            yield f"{count} rows: {verdict}: {reason}"
    for row in rows:
        if row.reason and (row.change is not None or counts[row.verdict, row.reason] == 1):
            yield sentence(row)


def sentence(row: GateRow) -> str:
    """A row's verdict, with its reason and figures."""
    figures = [f"change {change(row.change)}"] if row.change is not None else []
    if row.base_seconds is not None and row.head_seconds is not None:
        figures.append(f"{tables.duration(row.base_seconds)} → {tables.duration(row.head_seconds)}")
    if row.aa_ratio is not None and not (row.aa_ratio.low or 0.0) <= 1 <= (row.aa_ratio.high or math.inf):
        figures.append(f"control ÷ base {change(row.aa_ratio)}")
    if row.changed_times:
        figures.append(f"changed times: {', '.join(row.changed_times)}")
    details = f" ({'; '.join(figures)})" if figures else ""
    reason = f": {row.reason}" if row.reason else ""
    return f"{row.backend}, {row_title(row)}: {row.verdict}{reason}{details}"


def verdict_summary(document: Gate) -> str:
    """The titles of head and base, and the number of rows with each verdict."""
    counts = [
        f"{count} {verdict}" for verdict in STYLES if (count := sum(row.verdict == verdict for row in document.rows))
    ]
    base = "" if document.base is None else f" against {document.base.title}"
    return f"{document.head.title}{base}: {', '.join(counts)}"


def row_title(row: GateRow) -> str:
    """Operation, network and batch size of a row."""
    return f"{row.operation} {'-'.join(map(str, row.layer_sizes))}, {samples(row.batch)}"


def cases(rows: Sequence[GateRow]) -> Iterator[tuple[str, list[GateRow]]]:
    """Consecutive rows of the same case, with the case's title."""
    for name, members in groupby(rows, row_title):
        yield name, list(members)


def change(ratio: Ratio | None) -> str:
    """A ratio and its interval, as changes in percent."""
    if ratio is None:
        return tables.NONE
    low, high = (percent(end).removesuffix(" %") for end in (ratio.low, ratio.high))
    return f"{percent(ratio.estimate)} [{low}, {high}]"


def percent(ratio: float | None) -> str:
    """A ratio as a change in percent: 1.05 is "+5.0 %"."""
    return tables.NONE if ratio is None else f"{100 * (ratio - 1):+.1f} %"


def slow(processes: SlowProcessesRecord | None) -> str:
    """The numbers of slow processes: of the head, and of base and control."""
    if processes is None:
        return tables.NONE
    return f"{processes.head} of {processes.rounds}, {processes.base} of {2 * processes.rounds}"


def _changes(row: GateRow) -> tuple[str, str]:
    speedup = None if row.speedup_change is None else row.speedup_change.estimate
    return percent(row.typical_change), percent(speedup)


def count_sentences(rows: Sequence[GateRow]) -> Iterator[str]:
    """A sentence for each row whose instructions were to be counted."""
    for row in rows:
        if explanation := "; ".join(filter(None, [_counts(row), row.uncounted and f"not counted: {row.uncounted}"])):
            yield f"{row.backend}, {row_title(row)}: {explanation}"


def _counts(row: GateRow) -> str:
    """How the time and the instructions changed; empty without a count."""
    named = [("bytecode", row.bytecode, 0.0), ("instructions", row.instructions, SAME_INSTRUCTIONS)]
    counts = [(name, record, tolerance) for name, record, tolerance in named if record is not None]
    if not counts or row.change is None:
        return ""
    parts = [f"{name} {_count_change(record, tolerance)}" for name, record, tolerance in counts]
    name, record, tolerance = counts[-1]  # the machine's instructions, where they were counted, include the bytecode's
    other_causes = ""
    if "backend" in row.changed_times and _is_same(record, tolerance):
        called = "the functions that it calls, " if name == "bytecode" else ""
        other_causes = f": {called}layout, caches or the machine"
    return f"time {percent(row.change.estimate)}, {', '.join(parts)}{other_causes}"


def _count_change(record: CountRecord, tolerance: float) -> str:
    if _is_same(record, tolerance):
        return "unchanged"
    if record.base and (change := percent(record.head / record.base)) not in ("+0.0 %", "-0.0 %"):
        return change
    return f"{record.base:.0f} → {record.head:.0f}"


def _is_same(record: CountRecord, tolerance: float) -> bool:
    return abs(record.head - record.base) <= tolerance * record.base
