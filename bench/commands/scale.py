"""The command ``scale``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from rich.console import RenderableType

from bench import selection
from bench.checkpoint import Checkpoint
from bench.commands import output
from bench.commands.cluster_options import ClusterOptions
from bench.commands.on_cluster import losable
from bench.records import files
from bench.records.header import header, now
from bench.records.scale_schema import Scale, ScaleState
from bench.report import terminal
from bench.report.cluster_tables import disturbances
from bench.report.contents import contents
from bench.scale import growth
from bench.scale.result import ScaleResult
from bench.scale.settings import scale_settings
from pairbench import machine
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING


def scale(
    *,
    peers: bool,
    backend: Sequence[str],
    cluster: ClusterOptions | None,
    resume: bool,
    pictures: str | None,
    destinations: Destinations,
    results: Path,
) -> int:
    """Time the backends at growing sizes, print times, speedups and crossovers, and store the results."""
    checkpoint = Checkpoint(results, "scale", ScaleState, terminal.say)
    with ExitStack() as stack:
        with output.caller_input():
            connection = None if cluster is None else cluster.connection()
            chosen = selection.select_backends(backend, peers, "float64")
            output.check_destinations(destinations, Scale)
            files.make_folder(results)
            if pictures is not None:
                drawing = output.picture_module("bench.report.scale_picture")
                folder = output.pictures_folder(pictures)
            backends = chosen.including(selection.REFERENCE)
            names = [chosen_backend.name for chosen_backend in backends]
            checkpoint.check(resume)
            timer: growth.Timer = growth.LocalTimer()
            measured = measured_bucket = machine.describe()
            if connection is not None:
                from bench.cluster.scale_timer import scale_timer  # imports Dask

                timer, measured = stack.enter_context(scale_timer(connection, names, terminal.say))
                measured_bucket = machine.bucket(measured)
            fresh = ScaleState(
                settings=scale_settings(backends, growth.EFFORT, measured_bucket),
                started=now(),
                rows=[],
                not_run=[],
                bisections=0,
                compile=[],
                processes=[],
            )
            state = checkpoint.begin(fresh, resume)
        progress = stack.enter_context(terminal.progress())
        with output.measuring(), checkpoint.resumable(), losable(checkpoint):
            state = growth.measure_growth(state, backends, growth.EFFORT, progress, checkpoint.save, timer)
    result = ScaleResult(state, names)
    crossovers, ties = result.crossover_rows()
    document = Scale(
        **{**header("scale", state.started), "machine": measured},
        options={"peers": peers, "backend": list(backend), "cluster": connection is not None},
        effort=asdict(growth.EFFORT),
        rows=result.scale_rows(),
        crossovers=crossovers,
        ties=ties,
        break_even=result.break_even_rows(),
        processes=state.processes,
    )

    def store() -> list[str]:
        lines = [f"results: {files.write_results(results, document)}"]
        checkpoint.clear()
        if pictures is not None:
            lines.append(f"picture: {drawing.draw_scale(document.rows, names, folder)}")
        return lines

    notes: list[RenderableType] = [*disturbances(document.processes), *chosen.notes(but_for=selection.REFERENCE)]
    output.store_and_show(store, document, destinations, contents(document), notes)
    return FINDING if chosen.broken else output.status(document.rows)
