"""What a document shows: its tables, on the terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType

from bench import selection
from bench.records.cluster_schema import ClusterRun
from bench.records.comparison_schema import FileComparison
from bench.records.gate_schema import BaselineSummary, Gate
from bench.records.history_schema import History
from bench.records.scale_out_schema import ScaleOut
from bench.records.scale_schema import Scale
from bench.records.schema import Comparison, Listing, Proof, Record, Run
from bench.records.speed_schema import Speed
from bench.report import (
    baseline_tables,
    cluster_tables,
    comparison_tables,
    gate_tables,
    history_tables,
    proof_tables,
    roofline_tables,
    scale_out_tables,
    scale_tables,
    speed_page,
    tables,
    terminal,
    time_axis,
)


def contents(document: Record) -> list[RenderableType]:
    """The tables of a document, with their legends; empty for a record that has none."""
    match document:
        case Run(rows=rows):
            return [
                *tables.timings(rows),
                *tables.untimed(rows),
                *tables.compiling(document.compile, rows),
                *time_axis.points(rows),
                *roofline_tables.probes(document.roofline),
                *tables.LEGEND,
                *roofline_tables.roofline_legend(rows),
            ]
        case ClusterRun():
            return [*cluster_tables.buckets(document), *tables.LEGEND]
        case Comparison(rows=rows, options={"a": a, "b": b}):
            return [*tables.comparison(rows, a, b), *tables.untimed(rows)]
        case Proof(rows=rows):
            return [*proof_tables.outcomes(rows)]
        case Scale(rows=rows):
            return [
                *scale_tables.dimensions(rows, selection.in_order(dict.fromkeys(row.backend for row in rows))),
                *scale_tables.crossover_findings(document),
                *scale_tables.break_even_table(document),
                tables.aa_summary(scale_tables.aa(rows)),
            ]
        case ScaleOut():
            return [*scale_out_tables.scale_out(document)]
        case Speed():
            return [*speed_page.renderables(document), tables.aa_line(document.rows)]
        case Gate():
            return [*gate_tables.text(document)]
        case BaselineSummary():
            return [*baseline_tables.baseline_summary(document)]
        case FileComparison():
            return [*comparison_tables.comparison(document)]
        case History():
            return [*history_tables.courses(document)]
        case Listing(rows=rows):
            return [*tables.backends(rows)]
    return []


def html(document: Record) -> str | None:
    """The document as HTML, for a notebook; None if it has no tables."""
    shown = contents(document)
    return terminal.html(*shown, *_conclusion(document)) if shown else None


def _conclusion(document: Record) -> Iterable[RenderableType]:
    match document:
        case Run(rows=rows) | Comparison(rows=rows) | ClusterRun(rows=rows):
            return [tables.aa_line(rows)]
        case Proof():
            return proof_tables.mutants(document)
        case Gate():
            return gate_tables.verdict(document)
    return ()
