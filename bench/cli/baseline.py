"""``gate --baseline``: judges by recorded sessions, records one more, or moves the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from bench.cases import Case
from bench.cli import output, terminal
from bench.gate import baseline
from bench.gate.baseline import BaselineHead, MeasuredSession
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Baseline, Bucket, Gate, RecordedRow, RecordedSession
from bench.report import gate_tables
from pairbench import machine, sequential_test, worktrees
from pairbench.machine import Meter
from pairbench.progress import Progress


@dataclass(frozen=True)
class Wanted:
    """What was asked for; ``revision`` is that from which the file is read, None for the file as it stands."""

    path: Path
    revision: str | None
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float
    ratchet: bool


def record(wanted: Wanted, json_path: str | None) -> int:
    """Append a session to the file, which is made if it is missing. Raises KeyboardInterrupt."""
    started = output.now()
    with output.caller_input():
        output.check_json_path(json_path, RecordedSession)
        files.check_destination(wanted.path, Baseline)
        known = files.read(wanted.path, Baseline) if wanted.path.exists() else Baseline(buckets=[])
    with terminal.progress() as progress:
        head, measured = _measured(wanted, progress)
    if measured.interrupted is not None:
        raise KeyboardInterrupt
    wrong = {**head.wrong, **measured.failures}
    if wrong:
        raise click.ClickException(
            f"nothing is recorded, for {'; '.join(f'{key}: {why}' for key, why in wrong.items())}"
        )
    here = machine.describe()
    known = baseline.add_session(known, machine.bucket(here), measured.session)
    with output.caller_input():
        files.write(wanted.path, known)
    rows = measured.session.rows
    document = RecordedSession(
        command="gate",
        version=output.version(),
        started=started,
        finished=output.now(),
        machine=here,
        baseline=str(wanted.path),
        sessions=len(baseline.find_bucket(known, machine.bucket(here)).sessions),
        head=gate_tables.revision(head.revision),
        rows=[
            RecordedRow(**row.case.fields(), backend=row.backend, **rows[row.key].model_dump())
            for row in head.rows
            if row.key in rows
        ],
    )
    left = max(0, sequential_test.MIN_SESSIONS - document.sessions)
    output.answer(
        document,
        json_path,
        f"{wanted.path}: session {document.sessions} of machines like this one, {document.head.title}, "
        f"{len(rows)} rows",
        f"{left} more are needed before there is a verdict" if left else "there are enough for a verdict",
    )
    return output.OK


def judged(wanted: Wanted) -> tuple[Gate, bool]:
    """The verdict on the working tree by the sessions in the file, or in the file as a revision has it.

    And whether the measuring was interrupted.
    """
    started, meter = output.now(), Meter.start()
    with output.caller_input():
        known = _known(wanted)
    bucket = machine.bucket(machine.describe())
    own = baseline.find_bucket(known, bucket)
    with terminal.progress() as progress:
        head, measured = _measured(wanted, progress)
        rows, interrupted = baseline.judge_baseline(head, own, measured, wanted.threshold, progress)
    gains = {} if interrupted else baseline.certain_gains(rows, [row.key for row in head.rows])
    notes = [f"{key} is {factor - 1:.1%} faster; --ratchet moves the baseline" for key, factor in gains.items()]
    if wanted.ratchet and gains:
        with output.caller_input():
            files.write(wanted.path, baseline.accept_gains(known, bucket, gains))
        notes = [f"{key} is {factor - 1:.1%} faster: the baseline is moved." for key, factor in gains.items()]
    if len(own.sessions) < sequential_test.MIN_SESSIONS:
        notes += _too_few(known, own, wanted.path)
    options = {
        "baseline": str(wanted.path),
        "from": wanted.revision,
        "threshold": wanted.threshold,
        "budget": wanted.budget,
        "rows": [row.key for row in head.rows],
    }
    notes = [*head.notes, *notes]
    return gate_tables.document(started, options, head.revision, None, rows, notes, meter.read(), []), interrupted


def _too_few(known: Baseline, own: Bucket, path: Path) -> list[str]:
    """What to do where a bucket has too few sessions, and in what the machine differs from another that has some."""
    notes = [
        f"There are {len(own.sessions)} sessions of machines like this one; one more: "
        f"mlpbench gate --record --baseline {path}"
    ]
    near = None if own.sessions else baseline.nearest_bucket(known, own.machine)
    if near is not None:
        other, keys = near
        moved = (f"{key} ({_shown(other.machine.get(key))} there, {_shown(own.machine[key])} here)" for key in keys)
        notes.append(f"{len(other.sessions)} sessions are of a machine that differs in {', '.join(moved)}.")
    return notes


def _shown(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value or "none")


def _measured(wanted: Wanted, progress: Progress) -> tuple[BaselineHead, MeasuredSession]:
    with output.caller_input():
        head = baseline.prepare_head(wanted.cases, wanted.backends, wanted.budget, progress)
    return head, baseline.measure_session(head, progress, head.task.judged)


def _known(wanted: Wanted) -> Baseline:
    """The baseline of the file. Raises RecordError and TreeError."""
    if wanted.revision is None:
        return files.read(wanted.path, Baseline)
    root = worktrees.find_repository()
    try:
        inside = wanted.path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise RecordError(f"{wanted.path} is not in {root}, so no revision has it") from None
    text = worktrees.text_at(root, wanted.revision, inside)
    if text is None:
        raise RecordError(f"{wanted.revision} has no {inside}")
    return files.parse(f"{inside} of {wanted.revision}", text.encode(), Baseline)
