"""The command ``scale-out``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.checkpoint import Checkpoint, source_digest
from bench.commands import output
from bench.records import files
from bench.records.header import header, now
from bench.records.scale_out_schema import ScaleOut, ScaleOutState
from bench.report import terminal
from bench.report.contents import contents
from bench.scale_out import measurement, simulation
from pairbench import machine
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING, OK

MOST_SAMPLES, MOST_WORKERS = 10**9, 64


def scale_out(
    *,
    samples: Sequence[int],
    partition_rows: int,
    workers: Sequence[int],
    rounds: int,
    pictures: str | None,
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Time an epoch with every method, measure the costs of distribution, simulate larger clusters, and store all."""
    checkpoint = Checkpoint(results, "scale-out", ScaleOutState, terminal.say)
    with output.caller_input():
        _check_numbers("--samples", samples, MOST_SAMPLES)
        _check_numbers("--workers", workers, MOST_WORKERS)
        _check_numbers("--partition-rows", [partition_rows], MOST_SAMPLES)
        _check_numbers("--rounds", [rounds], 100)
        output.check_destinations(destinations, ScaleOut)
        files.make_folder(results)
        if pictures is not None:
            drawing = output.picture_module("bench.report.scale_out_picture")
            folder = output.pictures_folder(pictures)
        options = {
            "samples": list(samples),
            "partition_rows": partition_rows,
            "workers": list(workers),
            "rounds": rounds,
        }
        settings = {**options, "machine": machine.describe(), "sources": source_digest([])}
        state = checkpoint.begin(ScaleOutState(settings=settings, started=now(), rows=[]), resume)
    with output.measuring(), checkpoint.resumable(), terminal.progress() as progress:
        missing = sorted({*samples} - {row.samples for row in state.rows})
        for of_samples in measurement.measure_rows(missing, partition_rows, sorted({*workers}), rounds, progress):
            state = state.model_copy(update={"rows": [*state.rows, *of_samples]})
            checkpoint.save(state)
        rows = state.rows
        progress.stage("costs of distribution")
        costs = measurement.measure_costs(rows)
    document = ScaleOut(
        **header("scale-out", state.started),
        options=options,
        rows=rows,
        costs=costs,
        simulated=simulation.simulated_rows(costs, partition_rows) if costs else [],
        break_even=simulation.break_even_rows(costs, partition_rows) if costs else [],
    )

    def store() -> list[str]:
        lines = [f"results: {files.write_results(results, document)}"]
        checkpoint.clear()
        if pictures is not None:
            lines.append(f"picture: {drawing.draw_scale_out(document, folder)}")
        return lines

    output.store_and_show(store, document, destinations, contents(document), [])
    return OK if all(row.ok for row in rows) else FINDING


def _check_numbers(option: str, numbers: Sequence[int], most: int) -> None:
    """Raise ValueError unless all numbers are from 1 to ``most``."""
    for number in numbers:
        if not 1 <= number <= most:
            raise ValueError(f"{option} must be from 1 to {most}, got {number}")
