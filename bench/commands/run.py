"""The command ``run``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psutil
from rich.console import RenderableType

import impls
from bench import cases, selection, suite
from bench.arms import arms_of_case
from bench.case_measurement import DEFAULT_EFFORT, QUICK_EFFORT
from bench.cluster.connection import LOCAL
from bench.commands import output
from bench.commands.cluster_options import ClusterOptions
from bench.commands.on_cluster import require_cluster
from bench.forecast import forecast
from bench.records import files, schema
from bench.records.cluster_schema import ClusterRun
from bench.report import tables, terminal
from bench.report.contents import contents
from bench.report.noise import noise_paragraphs
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING


def run(
    *,
    quick: bool,
    peers: bool,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    hidden: str,
    output_activation: str,
    loss: str,
    dtype: str | None,
    threads: int,
    roofline: bool,
    cluster: ClusterOptions | None,
    each_machine: bool,
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Verify, time, print the table of speedups and store the results."""
    functions = {"hidden": hidden, "output": output_activation, "loss": loss}
    # Some peers are made for float32, so a comparison with peers covers both dtypes.
    more_dtypes = cases.DTYPES if peers and dtype is None else ()
    with output.caller_input():
        connection = None if cluster is None else cluster.connection()
        if connection is None:
            output.check_threads(threads)
            require_cluster(each_machine, resume)
        elif threads < 1:
            raise ValueError(f"--threads must be at least 1; got {threads}")
        elif roofline:
            raise ValueError("--roofline measures the limits of this machine; leave out --cluster")
        if roofline and threads > 1:
            raise ValueError("--roofline is measured on one thread; leave out --threads")
        if roofline:
            from impls._numba import require_compiler  # imports Numba, which takes long

            require_compiler()  # the probes are compiled
        chosen_cases = cases.select_cases(
            network,
            operation,
            cases.DTYPES[0] if dtype is None else dtype,
            threads,
            batches=batch,
            functions=functions,
        )
        chosen = selection.select_backends(backend, peers, dtype)
        reference = impls.load(selection.REFERENCE)
        output.check_destinations(destinations, schema.Run if connection is None else ClusterRun)
        files.check_folder(results)
    options = {
        "quick": quick,
        "peers": peers,
        "backend": list(backend),
        "network": list(network),
        "operation": list(operation),
        "batch": list(batch),
        **functions,
        "dtype": dtype,
        "threads": threads,
        "roofline": roofline,
    }
    others = [chosen_backend for chosen_backend in chosen.backends if chosen_backend.name != reference.name]
    effort = QUICK_EFFORT if quick else DEFAULT_EFFORT
    groups = [arms_of_case(case, reference, others, more_dtypes) for case in chosen_cases]
    if connection is not None:
        from bench.commands.cluster_run import run_on_cluster  # imports Dask

        return run_on_cluster(
            connection,
            groups,
            [reference, *others],
            chosen,
            effort,
            {**options, "cluster": connection.address or LOCAL, "each_machine": each_machine},
            resume,
            destinations,
            results,
        )
    compiling = sum(chosen_backend.compiles and effort.compile for chosen_backend in others)
    terminal.say(forecast(groups, effort, compiling))
    with output.measuring(), terminal.progress() as progress:
        document = suite.run_suite(
            chosen_cases,
            reference,
            others,
            more_dtypes,
            effort,
            roofline,
            options,
            progress,
        )
    rows = document.rows
    notes: list[RenderableType] = [
        *noise_paragraphs(rows, document.processes, psutil.cpu_count() or 1),
        *chosen.notes(but_for=reference.name),
    ]
    if dtype is not None and dtype not in reference.dtypes:
        notes.append(f"{reference.name} does not support {dtype}: the reference ran in {reference.dtypes[0]}.")
    notes += tables.changed_settings(rows)
    if quick:
        notes.append("--quick leaves out the compile times.")
    output.store_and_show(
        lambda: [f"results: {files.write_run_and_latest(results, document)}"],
        document,
        destinations,
        contents(document),
        notes,
    )
    return FINDING if chosen.broken else output.status(rows)
