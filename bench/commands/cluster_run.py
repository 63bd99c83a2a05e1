"""The command ``run`` on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from bench import selection
from bench.arms import Arm
from bench.checkpoint import Checkpoint
from bench.cluster.cluster_run import measure_on_cluster, run_settings
from bench.cluster.connection import Connection
from bench.cluster.pool import open_pool
from bench.commands import output
from bench.commands.on_cluster import losable
from bench.records import files
from bench.records.cluster_rows import cluster_rows, spread_rows
from bench.records.cluster_schema import ClusterRun, ClusterRunState
from bench.records.header import header, now
from bench.report import cluster_tables, tables, terminal
from bench.report.contents import contents
from bench.selection import Selection
from impls import Backend
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING
from pairbench.worker_protocol import Effort


def run_on_cluster(
    connection: Connection,
    groups: Sequence[tuple[Arm, ...]],
    backends: Sequence[Backend],
    chosen: Selection,
    effort: Effort,
    options: dict[str, Any],
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Verify and time on the machines of a cluster, print the tables of speedups and store the results."""
    checkpoint = Checkpoint(results, "cluster-run", ClusterRunState, terminal.say)
    names = selection.in_order([backend.name for backend in backends])
    with ExitStack() as stack:
        with output.caller_input():
            checkpoint.check(resume)
            pool = stack.enter_context(open_pool(connection, names, groups[0][0].case.threads, terminal.say))
            fresh = ClusterRunState(
                settings=run_settings(groups, backends, effort, options["each_machine"]),
                started=now(),
                machines=[],
                results=[],
                compile=[],
                compiled=[],
            )
            state = checkpoint.begin(fresh, resume)
        progress = stack.enter_context(terminal.progress())
        compiling = [backend.name for backend in backends if backend.compiles and effort.compile]
        with output.measuring(), checkpoint.resumable(), losable(checkpoint):
            state = measure_on_cluster(state, pool, groups, names, compiling, effort, progress, checkpoint.save)
    cases = [str(group[0].case) for group in groups]
    document = ClusterRun(
        **header("cluster-run", state.started),
        options=options,
        effort=asdict(effort),
        machines=sorted(state.machines, key=lambda machine: (machine.bucket, machine.machine)),
        rows=cluster_rows(state.results, cases),
        spreads=spread_rows(state.results, cases),
        compile=state.compile,
        processes=[process for result in state.results for process in result.processes],
    )

    def store() -> list[str]:
        lines = [f"results: {files.write_results(results, document)}"]
        checkpoint.clear()
        return lines

    notes: list[RenderableType] = [
        *cluster_tables.noise(document),
        *chosen.notes(but_for=selection.REFERENCE),
        *tables.changed_settings(document.rows),
    ]
    output.store_and_show(store, document, destinations, contents(document), notes)
    return FINDING if chosen.broken else output.status(document.rows)
