"""The commands ``run``, ``compare`` and ``backends``: one function each, which returns the exit status."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

import impls
from bench import backend_listing, cases, selection
from bench.cli import output, terminal
from bench.proof.problems import UnfitInputs
from bench.records import files, schema, timing_rows
from bench.report import roofline_tables, tables
from bench.roofline import probes
from bench.roofline.lower_bound import MachineLimits
from pairbench import machine
from pairbench.measure import DEFAULT, QUICK, Measurement, arms_of_case, measure_cases
from pairbench.worker_protocol import Arm, Effort


def run(
    *,
    quick: bool,
    peers: bool,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    dtype: str | None,
    threads: int,
    limits: bool,
    json_path: str | None,
    results: Path,
) -> int:
    """Verify, time, print the table of speedups and store the results."""
    started = output.now()
    # Some libraries are made for float32: beside peers, both dtypes stand in the table.
    also = cases.DTYPES if peers and dtype is None else ()
    with output.caller_input():
        _check_threads(threads)
        if limits and threads > 1:
            raise ValueError("--limits are those of one thread; leave out --threads")
        chosen_cases = cases.select_cases(
            network, operation, cases.DTYPES[0] if dtype is None else dtype, threads, batches=batch
        )
        chosen = selection.select_backends(backend, peers, dtype)
        reference = impls.load(selection.REFERENCE)
        output.check_json_path(json_path, schema.Run)
        files.check_folder(results)
    others = [one for one in chosen.backends if one.name != reference.name]
    effort = QUICK if quick else DEFAULT
    groups = [arms_of_case(case, reference, others, also) for case in chosen_cases]
    compiling = [one.name for one in others if one.compiles and effort.compile]
    machine_limits = _limits(groups) if limits else None
    seed, measurement = _measure(groups, effort, compiling)
    document = schema.Run(
        command="run",
        version=output.version(),
        started=started,
        finished=output.now(),
        machine=machine.describe(),
        options={
            "quick": quick,
            "peers": peers,
            "backend": list(backend),
            "network": list(network),
            "operation": list(operation),
            "batch": list(batch),
            "dtype": dtype,
            "threads": threads,
            "limits": limits,
        },
        effort=asdict(effort),
        seed=seed,
        rows=timing_rows.timing_rows(
            measurement, selection.in_order([reference.name, *(one.name for one in others)]), machine_limits
        ),
        compile=timing_rows.compile_rows(measurement),
        limits=[] if machine_limits is None else timing_rows.limit_rows(machine_limits),
        processes=timing_rows.process_records(measurement),
    )
    rows = document.rows
    notes = chosen.notes(but_for=reference.name)
    if dtype is not None and dtype not in reference.dtypes:
        notes.append(f"{reference.name} has no {dtype}: as the reference it ran in {reference.dtypes[0]}.")
    if quick:
        notes.append("--quick leaves out how long compiling takes.")
    shown = [
        *tables.timings(rows),
        *tables.untimed(rows),
        *tables.compiling(document.compile, rows),
        *tables.bars(rows),
        *roofline_tables.probes(document.limits),
        tables.LEGEND,
        *roofline_tables.legend(rows),
    ]
    try:
        notes.append(f"results: {files.store(results, document)}")
    finally:  # what was measured is shown where it cannot be stored, and stored where it cannot be shown
        output.answer(document, json_path, *shown, tables.aa_line(rows), *notes)
    return output.FINDING if chosen.broken else output.status(rows)


def compare(
    a: str,
    b: str,
    *,
    quick: bool,
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    dtype: str,
    threads: int,
    json_path: str | None,
) -> int:
    """Time two backends against each other, and print the ratio of their times for each case."""
    started = output.now()
    with output.caller_input():
        if a == b:
            raise ValueError(f"{a} cannot be compared with itself; name two backends")
        _check_threads(threads)
        chosen_cases = cases.select_cases(network, operation, dtype, threads, batches=batch)
        first, second = (selection.select_backends([name], dtype=dtype).backends[0] for name in (a, b))
        output.check_json_path(json_path, schema.Comparison)
    effort = QUICK if quick else DEFAULT
    seed, measurement = _measure([arms_of_case(case, first, [second]) for case in chosen_cases], effort, [])
    document = schema.Comparison(
        command="compare",
        version=output.version(),
        started=started,
        finished=output.now(),
        machine=machine.describe(),
        options={
            "a": a,
            "b": b,
            "quick": quick,
            "network": list(network),
            "operation": list(operation),
            "batch": list(batch),
            "dtype": dtype,
            "threads": threads,
        },
        effort=asdict(effort),
        seed=seed,
        rows=timing_rows.timing_rows(measurement, (a, b)),
        processes=timing_rows.process_records(measurement),
    )
    rows = document.rows
    shown = [*tables.comparison(rows, a, b), *tables.untimed(rows)]
    output.answer(document, json_path, *shown, tables.aa_line(rows))
    return output.status(rows)


def backends(*, json_path: str | None) -> int:
    """List the backends: what is installed, what is missing, and how to get it."""
    with output.caller_input():
        output.check_json_path(json_path, schema.Listing)
        rows = backend_listing.rows()
    document = schema.Listing(command="backends", machine=machine.describe(), rows=rows)
    output.answer(document, json_path, *tables.backends(document.rows))
    return output.OK


def _limits(groups: list[tuple[Arm, ...]]) -> MachineLimits:
    with terminal.progress() as progress:
        return probes.measure_limits(list(dict.fromkeys(arm.case for group in groups for arm in group)), progress)


def _check_threads(threads: int) -> None:
    """Raise ValueError unless every thread has a CPU."""
    most = machine.cpus_usable()
    if not 1 <= threads <= most:
        raise ValueError(f"--threads must be from 1 to {most}, the CPUs that are there to use; got {threads}")


def _measure(groups: list[tuple[Arm, ...]], effort: Effort, compiling: Sequence[str]) -> tuple[int, Measurement]:
    seed = secrets.randbits(32)
    with terminal.progress() as progress:
        try:
            return seed, measure_cases(groups, effort, seed, progress, compiling)
        except (UnfitInputs, MemoryError) as error:  # MemoryError: a network beyond this machine
            raise click.ClickException(str(error)) from error
