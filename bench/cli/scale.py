"""The command ``scale``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from bench import selection
from bench.cli import output, terminal
from bench.proof.problems import UnfitInputs
from bench.records import files, schema
from bench.report import scale_tables, tables
from bench.scale import growth, state
from bench.scale.result import ScaleResult
from pairbench import machine


def scale(
    *,
    peers: bool,
    backend: Sequence[str],
    fresh: bool,
    pictures: str | None,
    json_path: str | None,
    results: Path,
) -> int:
    """Time the backends at growing sizes, print times, speedups and crossings, store the results."""
    unfinished = results / state.FILE
    with output.caller_input():
        chosen = selection.select_backends(backend, peers, "float64")
        output.check_json_path(json_path, schema.Scale)
        files.make_folder(results)
        if pictures is not None:
            drawing, folder = output.drawing("bench.report.scale_picture"), output.pictures_folder(pictures)
        backends = chosen.including(selection.REFERENCE)
        names = [one.name for one in backends]
        begun = state.begin(unfinished, state.settings(backends, growth.EFFORT), output.now(), fresh)
    with terminal.progress() as progress:
        try:
            done = growth.measure_growth(begun, backends, growth.EFFORT, progress, partial(files.write, unfinished))
        except (UnfitInputs, MemoryError) as error:
            raise click.ClickException(str(error)) from error
    outcome = ScaleResult(done, names)
    crossings, ties = outcome.crossing_rows()
    document = schema.Scale(
        command="scale",
        version=output.version(),
        started=done.started,
        finished=output.now(),
        machine=machine.describe(),
        options={"peers": peers, "backend": list(backend)},
        effort=asdict(growth.EFFORT),
        rows=outcome.scale_rows(),
        crossovers=crossings,
        ties=ties,
        break_even=outcome.break_even_rows(),
        processes=done.processes,
    )
    notes = chosen.notes(but_for=selection.REFERENCE)
    if begun.rows:
        notes.append(f"This run went on from one that was begun at {begun.started} and interrupted.")
    try:
        notes.append(f"results: {files.keep(results, document)}")
        unfinished.unlink(missing_ok=True)
        if pictures is not None:
            notes.append(f"picture: {drawing.draw_scale(document.rows, names, folder)}")
    finally:
        shown = [
            *scale_tables.dimensions(document.rows, names),
            *scale_tables.findings(document),
            *scale_tables.payback(document),
        ]
        output.answer(document, json_path, *shown, tables.aa_summary(scale_tables.aa(document.rows)), *notes)
    return output.FINDING if chosen.broken else output.status(document.rows)
