"""The command ``speed``."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bench import selection
from bench.cli import output, terminal
from bench.proof.problems import UnfitInputs
from bench.records import files, schema, timing_rows
from bench.report import speed_page, tables
from bench.speed import speed_run
from bench.speed.goals import SIMD
from impls import Backend
from pairbench import machine
from pairbench.measure import DEFAULT, QUICK
from pairbench.worker_protocol import Effort


def speed(*, quick: bool, markdown: str | None, json_path: str | None, results: Path) -> int:
    """Measure, print the goals and the times, store the results, write the page."""
    started = output.now()
    with output.caller_input():
        chosen = selection.select_backends(peers=True)
        output.check_json_path(json_path, schema.Speed)
        if markdown is not None:
            speed_page.check_destination(Path(markdown))
        files.make_folder(results)
    effort = QUICK if quick else DEFAULT
    seed = secrets.randbits(32)
    measured = _measured(chosen.backends, effort, seed)
    order = selection.in_order([SIMD, *(one.name for one in speed_run.compared_backends(chosen.backends))])
    document = schema.Speed(
        command="speed",
        version=output.version(),
        started=started,
        finished=output.now(),
        machine=machine.describe(),
        options={"quick": quick},
        effort=asdict(effort),
        seed=seed,
        goals=speed_run.goal_rows(measured),
        rows=timing_rows.timing_rows(measured.measurement, order, measured.limits),
        limits=timing_rows.limit_rows(measured.limits),
        in_c=[schema.InCRecord(**asdict(one)) for one in measured.in_c.processes],
        starts=[
            schema.StartRecord(dtype=dtype, cold_seconds=one.cold, warm_seconds=one.warm)
            for dtype, one in measured.starts.items()
        ],
        processes=timing_rows.process_records(measured.measurement),
    )
    notes = chosen.notes()
    try:
        notes.append(f"results: {files.keep(results, document)}")
        if markdown is not None:
            files.write_bytes(Path(markdown), speed_page.page(document, notes[:-1]).encode())
            notes.append(f"page: {markdown}")
    finally:
        shown = speed_page.shown(document)
        output.answer(document, json_path, *shown, tables.aa_line(document.rows), *notes)
    return output.FINDING if chosen.broken else output.status(document.rows)


def _measured(peers: Sequence[Backend], effort: Effort, seed: int) -> speed_run.SpeedMeasurement:
    try:
        with terminal.progress() as progress:
            limits = speed_run.measure_speed_limits(progress)
        with terminal.progress() as progress:
            measurement = speed_run.measure_times(peers, effort, seed, progress)
        with terminal.progress() as progress:
            in_c = speed_run.compare_with_c(effort, seed, progress)
        with terminal.progress() as progress:
            starts = speed_run.measure_starts(progress)
    except (UnfitInputs, MemoryError) as error:
        raise click.ClickException(str(error)) from error
    return speed_run.SpeedMeasurement(limits, measurement, in_c, starts)
