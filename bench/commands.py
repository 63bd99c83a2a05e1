"""The commands ``run``, ``compare`` and ``backends``: one function each, which returns the exit status."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import RenderableType

import impls
from bench import cases, listing, machine, records, schema, selection, summary, tables, terminal
from bench.inputs import Unhealthy
from bench.measure import DEFAULT, QUICK, Measurement, arms, measure
from bench.messages import Arm, Effort
from impls import BackendError

OK, FINDING = 0, 1
STANDARD_OUTPUT = "-"


def run(
    *,
    quick: bool,
    peers: bool,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    dtype: str,
    json_path: str | None,
    results: Path,
) -> int:
    """Verify, time, print the table of speedups and store the results."""
    started = _now()
    with _input():
        chosen_cases = cases.select(network, operation, dtype)
        chosen = selection.select(backend, peers, dtype)
        reference = impls.load(selection.REFERENCE)
        _check_json_path(json_path)
        records.check_folder(results)
    others = [one for one in chosen.backends if one.name != reference.name]
    effort = QUICK if quick else DEFAULT
    groups = [arms(case, reference, others) for case in chosen_cases]
    compiling = [one.name for one in others if one.compiles and effort.compile]
    seed, measurement = _measure(groups, effort, compiling)
    document = schema.Run(
        command="run",
        version=_version(),
        started=started,
        finished=_now(),
        machine=machine.describe(),
        options={
            "quick": quick,
            "peers": peers,
            "backend": list(backend),
            "network": list(network),
            "operation": list(operation),
            "dtype": dtype,
        },
        effort=asdict(effort),
        seed=seed,
        rows=summary.rows(measurement, selection.in_order([reference.name, *(one.name for one in others)])),
        compile=summary.compile_rows(measurement),
        processes=summary.process_records(measurement),
    )
    path = records.store(results, document)
    rows = document.rows
    notes = [f"left out: {text}" for name, text in chosen.left_out.items() if name != reference.name]
    notes += [f"broken: {text}" for text in chosen.broken.values()]
    if dtype not in reference.dtypes:
        notes.append(f"{reference.name} has no {dtype}: as the reference it ran in {reference.dtypes[0]}.")
    if quick:
        notes.append("--quick leaves out how long compiling takes.")
    lines = [tables.aa_line(rows), *notes, f"results: {path}"]
    _answer(document, json_path, *tables.timings(rows), *tables.compiling(document.compile, rows), *lines)
    return FINDING if chosen.broken else _status(rows)


def compare(
    a: str,
    b: str,
    *,
    quick: bool,
    network: Sequence[str],
    operation: Sequence[str],
    dtype: str,
    json_path: str | None,
) -> int:
    """Time two backends against each other, and print the ratio of their times for each case."""
    started = _now()
    with _input():
        if a == b:
            raise ValueError(f"{a} cannot be compared with itself; name two backends")
        chosen_cases = cases.select(network, operation, dtype)
        first, second = (selection.select([name], dtype=dtype).backends[0] for name in (a, b))
        _check_json_path(json_path)
    effort = QUICK if quick else DEFAULT
    seed, measurement = _measure([arms(case, first, [second]) for case in chosen_cases], effort, [])
    document = schema.Comparison(
        command="compare",
        version=_version(),
        started=started,
        finished=_now(),
        machine=machine.describe(),
        options={
            "a": a,
            "b": b,
            "quick": quick,
            "network": list(network),
            "operation": list(operation),
            "dtype": dtype,
        },
        effort=asdict(effort),
        seed=seed,
        rows=summary.rows(measurement, (a, b)),
        processes=summary.process_records(measurement),
    )
    rows = document.rows
    _answer(document, json_path, *tables.comparison(rows, a, b), tables.aa_line(rows))
    return _status(rows)


def backends(*, json_path: str | None) -> int:
    """List the backends: what is installed, what is missing, and how to get it."""
    with _input():
        _check_json_path(json_path)
    document = schema.Listing(command="backends", machine=machine.describe(), rows=listing.rows())
    _answer(document, json_path, *tables.backends(document.rows))
    return OK


def _measure(groups: list[tuple[Arm, ...]], effort: Effort, compiling: Sequence[str]) -> tuple[int, Measurement]:
    seed = secrets.randbits(32)
    with terminal.progress() as progress:
        try:
            return seed, measure(groups, effort, seed, progress, compiling)
        except (Unhealthy, MemoryError) as error:  # MemoryError: a network beyond this machine
            raise click.ClickException(str(error)) from error


@contextmanager
def _input() -> Iterator[None]:
    """What goes wrong in here is the caller's input."""
    try:
        yield
    except (BackendError, TypeError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _check_json_path(json_path: str | None) -> None:
    if json_path is not None and json_path != STANDARD_OUTPUT:
        records.check_destination(Path(json_path))


def _answer(document: schema.Record, json_path: str | None, *renderables: RenderableType) -> None:
    """Print the tables, and write the document where ``--json`` says; on standard output it stands alone."""
    if json_path == STANDARD_OUTPUT:
        terminal.write(records.dumps(document) + "\n")
        return
    if json_path is not None:
        records.write(Path(json_path), document)
    terminal.show(*renderables)


def _status(rows: Sequence[schema.Row]) -> int:
    return OK if all(row.ok for row in rows) else FINDING


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _version() -> str:
    return machine.library_version("mlpbench") or "not installed"
