"""The commands ``baseline record``, ``baseline show`` and ``baseline accept``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click
from rich.console import RenderableType

from bench.commands import output
from bench.commands.gate import remove_unfinished_files, select_gate_cases, sources_present
from bench.gate import baseline as stored
from bench.gate.earlier_session import earlier_session
from bench.gate.gate_document import revision_record
from bench.gate.preparation import PACKAGE
from bench.gate.session import MeasuredSession, SessionHead, measure_session, prepare_head
from bench.records import files
from bench.records.gate_schema import (
    AcceptedRow,
    Baseline,
    BaselineAcceptance,
    BaselineSummary,
    RecordedRow,
    RecordedSession,
)
from bench.records.header import header, now, version
from bench.records.schema import Record
from bench.report import baseline_tables, terminal
from bench.report.contents import contents
from pairbench import machine
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import OK
from pairbench.lock import machine_lock
from pairbench.option_values import check_budget
from pairbench.progress import Progress
from pairbench.worktrees import Checkout

UNCHANGED = "interrupted; the baseline is unchanged"


def record(
    *,
    baseline: Path,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    budget: float,
    destinations: Destinations,
) -> int:
    """Measure a session and append it to the baseline file, which is created if it is missing."""
    started = now()
    with output.caller_input():
        chosen, most = select_gate_cases(network, operation, batch), check_budget(budget)
        _check_destinations(baseline, destinations, RecordedSession)
    with machine_lock(terminal.say), sources_present():
        with output.caller_input():
            known = files.read(baseline, Baseline) if baseline.exists() else Baseline(buckets=[])
        with output.caller_input(), terminal.progress() as progress:
            head = prepare_head(chosen, backend, most, progress)
            measured = _complete_session(head, progress)
        here = machine.describe()
        known = stored.add_session(known, machine.bucket(here), measured.session)
        rows = measured.session.rows
        document = RecordedSession(
            **header("baseline record", started),
            baseline=str(baseline),
            sessions=len(stored.find_bucket(known, machine.bucket(here)).sessions),
            head=revision_record(head.revision),
            rows=[
                RecordedRow(**row.case.fields(), backend=row.backend, **rows[row.key].model_dump())
                for row in head.rows
                if row.key in rows
            ],
        )
        _store_and_show(baseline, known, document, destinations, baseline_tables.recorded(document))
    return OK


def show(*, baseline: Path, destinations: Destinations) -> int:
    """Show the sessions of machines like this one, and the number of sessions of other machines."""
    with output.caller_input():
        output.check_destinations(destinations, BaselineSummary)
        known = stored.read_baseline(baseline)
        here = machine.describe()
        own = stored.find_bucket(known, machine.bucket(here))
        rows, changes = stored.baseline_rows(own), stored.level_changes(own)
    document = BaselineSummary(
        command="baseline show",
        version=version(),
        machine=here,
        baseline=str(baseline),
        sessions=[f"{one.started}: {one.head}" for one in own.sessions],
        rows=rows,
        changes=changes,
        other_machines=[
            {**bucket.machine, "sessions": len(bucket.sessions)} for bucket in known.buckets if bucket != own
        ],
    )
    output.show(document, destinations, contents(document))
    return OK


def accept(
    *,
    baseline: Path,
    backend: Sequence[str],
    network: Sequence[str],
    operation: Sequence[str],
    batch: Sequence[int],
    budget: float,
    losses: bool,
    results: Path,
    destinations: Destinations,
) -> int:
    """Measure a session, and accept the gains of the rows that became faster into the baseline.

    With ``losses``, also accept the losses of the rows that became slower. Both need another session: that of an
    earlier gate of the same sources in the folder ``results``, else the last recorded one.
    """
    started = now()
    with output.caller_input():
        chosen, most = select_gate_cases(network, operation, batch), check_budget(budget)
        _check_destinations(baseline, destinations, BaselineAcceptance)
    bucket = machine.bucket(machine.describe())
    with machine_lock(terminal.say), sources_present():
        with output.caller_input():
            known = stored.read_baseline(baseline)
        own = stored.find_bucket(known, bucket)
        with output.caller_input(), terminal.progress() as progress:
            head = prepare_head(chosen, backend, most, progress)
            session = _complete_session(head, progress).session
        keys = [row.key for row in head.rows]
        earlier = earlier_session(results, bucket, head.revision.digest)
        factors = stored.certain_gains(own, session, earlier, keys)
        if losses:
            factors = {**stored.certain_losses(own, session, earlier, keys), **factors}
        document = BaselineAcceptance(
            **header("baseline accept", started),
            baseline=str(baseline),
            head=revision_record(head.revision),
            rows=[
                AcceptedRow(**row.case.fields(), backend=row.backend, factor=factors[row.key])
                for row in head.rows
                if row.key in factors
            ],
        )
        accepted = stored.accept_moves(known, bucket, factors) if factors else None
        lines = baseline_tables.accepted(document, len(own.sessions), losses)
        _store_and_show(baseline, accepted, document, destinations, lines)
    return OK


def _store_and_show(
    path: Path, known: Baseline | None, document: Record, destinations: Destinations, lines: Iterable[RenderableType]
) -> None:
    """Write the baseline, unless it is None, and show the results even if that fails."""

    def store() -> Sequence[str]:
        if known is not None:
            files.write(path, known)
        return ()

    output.store_and_show(store, document, destinations, (), list(lines))


def _check_destinations(baseline: Path, destinations: Destinations, kind: type[Record]) -> None:
    """Raise ValueError unless this is a checkout and all files can be written."""
    Checkout.find(PACKAGE)
    output.check_destinations(destinations, kind, baseline)
    files.check_destination(baseline, Baseline)
    remove_unfinished_files(baseline, *destinations.files)


def _complete_session(head: SessionHead, progress: Progress) -> MeasuredSession:
    """Measure a session. Raises ClickException if a row fails, and KeyboardInterrupt if it is interrupted."""
    measured = measure_session(head, progress, head.judged)
    if measured.interrupted is not None:
        raise KeyboardInterrupt(UNCHANGED)
    failures = {**head.wrong, **measured.failures}
    if failures:
        raise click.ClickException(
            f"nothing is recorded, because rows failed: {'; '.join(f'{key}: {why}' for key, why in failures.items())}"
        )
    return measured
