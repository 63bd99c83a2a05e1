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
from bench.commands.case_options import CaseOptions
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
    chosen: CaseOptions,
    roofline: bool,
    cluster: ClusterOptions | None,
    each_machine: bool,
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Verify, time, print the table of speedups and store the results."""
    # Some peers are made for float32, so a comparison with peers covers both dtypes.
    more_dtypes = cases.DTYPES if peers and chosen.dtype is None else ()
    with output.caller_input():
        connection = None if cluster is None else cluster.connection()
        if connection is None:
            output.check_threads(chosen.threads)
            require_cluster(each_machine, resume)
        elif chosen.threads < 1:
            raise ValueError(f"--threads must be at least 1; got {chosen.threads}")
        elif roofline:
            raise ValueError("--roofline measures the limits of this machine; leave out --cluster")
        if roofline and chosen.threads > 1:
            raise ValueError("--roofline is measured on one thread; leave out --threads")
        if roofline:
            from impls._numba import require_compiler  # imports Numba, which takes long

            require_compiler()  # the probes are compiled
        chosen_cases = chosen.select()
        selected = selection.select_backends(backend, peers, chosen.dtype)
        reference = impls.load(selection.REFERENCE)
        output.check_destinations(destinations, schema.Run if connection is None else ClusterRun)
        files.check_folder(results)
    options = {
        "quick": quick,
        "peers": peers,
        "backend": list(backend),
        **chosen.record(),
        "roofline": roofline,
    }
    others = [chosen_backend for chosen_backend in selected.backends if chosen_backend.name != reference.name]
    effort = QUICK_EFFORT if quick else DEFAULT_EFFORT
    groups = [arms_of_case(case, reference, others, more_dtypes) for case in chosen_cases]
    if connection is not None:
        from bench.commands.cluster_run import run_on_cluster  # imports Dask

        return run_on_cluster(
            connection,
            groups,
            [reference, *others],
            selected,
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
        *selected.notes(but_for=reference.name),
    ]
    if chosen.dtype is not None and chosen.dtype not in reference.dtypes:
        notes.append(f"{reference.name} does not support {chosen.dtype}: the reference ran in {reference.dtypes[0]}.")
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
    return FINDING if selected.broken else output.status(rows)
