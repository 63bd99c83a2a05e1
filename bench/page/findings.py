"""What the page shows of the documents other than a run, as entries for charts and tables."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import Any

from bench.page.sources import Sources
from bench.page.timings import Entry
from bench.records.error_rate_schema import ErrorRates
from bench.records.remarks import remarks
from bench.records.scale_schema import Scale
from bench.records.schema import Document, Proof, Run
from bench.records.speed_schema import Speed
from bench.records.tutorial_schema import Tutorials
from bench.report import scale_tables, tables, tutorial_tables
from bench.report.noise import noise_paragraphs
from pairbench.measure import AA_CONTROL

FACTS = {"CPU": "cpu", "usable CPUs": "cpus_usable", "system": "system", "Python": "python", "BLAS": "blas"}
"""The fields of a machine that the page shows, by their names there."""


def growth_entries(scale: Scale) -> list[Entry]:
    """An entry for each time at a size."""
    return [
        {
            "dimension": row.dimension,
            "size": row.value,
            "backend": row.backend,
            "seconds": row.seconds,
            "time_text": tables.duration(row.seconds),
            "speedup": row.speedup.estimate if row.speedup else None,
            "low": row.speedup.low if row.speedup else None,
            "high": row.speedup.high if row.speedup else None,
            "speedup_text": tables.interval(row.speedup),
        }
        for row in scale.rows
        if row.dimension is not None and row.value is not None and row.arm != AA_CONTROL and row.seconds is not None
    ]


def crossover_entries(scale: Scale) -> list[Entry]:
    """An entry for each crossover."""
    return [
        {
            "place": scale_tables.crossover_place(row),
            "faster_below": row.faster_below,
            "faster_above": row.faster_above,
        }
        for row in scale.crossovers
    ]


def figure_entries(tutorials: Tutorials) -> dict[str, list[Entry]]:
    """An entry for each printed figure and each distinct value that backends compute for it, by tutorial."""
    entries: dict[str, dict[tuple[str, ...], Entry]] = {}
    for row in tutorials.rows:
        if row.kind == "figure":
            printed, computed = row.printed or "", tutorial_tables.computed_text(row)
            entry: Entry = {
                "part": row.part,
                "figure": row.figure,
                "printed": tutorial_tables.shortened(printed),
                "computed": tutorial_tables.shortened(computed),
                "backends": [],
                "ok": row.ok,
            }
            key = (row.part, row.figure, printed, computed, str(row.ok))
            known = entries.setdefault(row.document, {}).setdefault(key, entry)
            known["backends"] += [row.backend] if row.backend else []
    return {tutorial: list(of_tutorial.values()) for tutorial, of_tutorial in entries.items()}


def score_sentences(tutorials: Tutorials) -> list[str]:
    """How many printed figures are reproduced."""
    return list(tutorial_tables.score(tutorials.rows))


def proof_sentence(proof: Proof) -> str:
    """How many checks passed, and how many mutants were rejected."""
    mutants = [*proof.mutants, *proof.timing_mutants]
    passed, killed = sum(row.ok for row in proof.rows), sum(mutant.killed for mutant in mutants)
    return (
        f"The proof: {passed} of {len(proof.rows)} checks passed, and {killed} of {len(mutants)} mutants "
        "(backends with a deliberate fault) were rejected."
    )


def rate_entries(rates: ErrorRates) -> list[Entry]:
    """The share of the runs that fail, by recording, rule and planted delay."""
    return [
        {
            "recording": row.recording,
            "rule": row.rule,
            "slowdown": row.measured,
            "share": fail.count / fail.runs,
            "low": fail.low,
            "high": fail.high,
            "text": f"{fail.count} of {fail.runs}",
        }
        for row in rates.rows
        for fail in [row.rates.get("FAIL")]
        if fail is not None and fail.runs > 0
    ]


def provenance(sources: Sources) -> list[Entry]:
    """For each document: the command, when it was measured, with which commit, on which machine, and remarks."""
    entries = []
    for document in vars(sources).values():
        if isinstance(document, Document):
            source = document.source
            commit = ((source and source.commit) or "unknown")[:10]
            entries.append(
                {
                    "command": document.command,
                    "facts": {
                        "measured": f"{document.started} to {document.finished}",
                        "mlpbench": document.version,
                        "commit": commit + (", with changes" if source and source.changed else ""),
                        **_facts(document.machine),
                    },
                    "remarks": _remarks(document),
                }
            )
    return entries


def _facts(machine: Mapping[str, Any]) -> dict[str, str | int]:
    values = {name: machine.get(field) for name, field in FACTS.items()}
    return {name: value for name, value in values.items() if isinstance(value, str | int)}


def _remarks(document: Document) -> list[str]:
    """The A/A control and the signs of load of a run or a speed document, and the remarks on any document."""
    processes = getattr(document, "processes", [])
    conditions = [reading for process in processes for reading in process.conditions]
    cpus = document.machine.get("cpus")
    noise = (
        noise_paragraphs(document.rows, processes, cpus if isinstance(cpus, int) else 1)
        if isinstance(document, Run | Speed)
        else []
    )
    # A machine is free-form in the schema, so what is used here is checked here.
    environment, quota = (document.machine.get(name) for name in ("environment", "cpu_quota"))
    checked = {
        "environment": environment if isinstance(environment, dict) else {},
        "cpu_quota": quota if isinstance(quota, int | float) else nan,
    }
    return [*(paragraph.text for paragraph in noise), *remarks(checked, document.source, conditions)]
