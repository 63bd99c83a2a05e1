"""The command ``scale``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from bench import selection
from bench.cli import answers, growth, tables, terminal
from bench.proof.inputs import UnfitInputs
from bench.records import files, schema
from bench.scale import run, state
from bench.scale.outcome import ScaleResult
from bench.timing import machine


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
    with answers.caller_input():
        chosen = selection.select_backends(backend, peers, "float64")
        answers.check_json_path(json_path, schema.Scale)
        files.make_folder(results)
        if pictures is not None:
            drawing, folder = answers.drawing("bench.scale.picture"), answers.pictures_folder(pictures)
        backends = chosen.including(selection.REFERENCE)
        names = [one.name for one in backends]
        begun = state.begin(unfinished, state.settings(backends, run.EFFORT), answers.now(), fresh)
    with terminal.progress() as progress:
        try:
            done = run.measure_growth(begun, backends, run.EFFORT, progress, partial(files.write, unfinished))
        except (UnfitInputs, MemoryError) as error:
            raise click.ClickException(str(error)) from error
    outcome = ScaleResult(done, names)
    crossings, ties = outcome.crossing_rows()
    document = schema.Scale(
        command="scale",
        version=answers.version(),
        started=done.started,
        finished=answers.now(),
        machine=machine.describe(),
        options={"peers": peers, "backend": list(backend)},
        effort=asdict(run.EFFORT),
        rows=outcome.scale_rows(),
        crossings=crossings,
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
            notes.append(f"picture: {drawing.draw(document.rows, names, folder)}")
    finally:
        shown = [*growth.dimensions(document.rows, names), *growth.findings(document), *growth.payback(document)]
        answers.answer(document, json_path, *shown, tables.aa_summary(growth.aa(document.rows)), *notes)
    return answers.FINDING if chosen.broken else answers.status(document.rows)
