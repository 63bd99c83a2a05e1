"""``gate --baseline``: judges by recorded sessions, records one more, or moves the baseline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from bench.cases import Case
from bench.cli import answers, terminal, verdicts
from bench.gate import baseline, rule, trees
from bench.gate.baseline import Head
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Baseline, Gate, Session
from bench.timing import machine
from bench.timing.machine import Meter
from bench.timing.measure import Progress


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


def record(wanted: Wanted) -> int:
    """Append a session to the file, which is made if it is missing."""
    with answers.caller_input():
        files.check_destination(wanted.path, Baseline)
        known = files.read(wanted.path, Baseline) if wanted.path.exists() else Baseline(buckets=[])
    with terminal.progress() as progress:
        head, session, failures = _measured(wanted, progress)
    wrong = {**head.wrong, **failures}
    if wrong:
        raise click.ClickException(
            f"nothing is recorded, for {'; '.join(f'{key}: {why}' for key, why in wrong.items())}"
        )
    bucket = baseline.bucket_of(machine.describe())
    known = baseline.with_session(known, bucket, session)
    with answers.caller_input():
        files.write(wanted.path, known)
    count = len(baseline.find(known, bucket).sessions)
    left = max(0, rule.SESSIONS - count)
    terminal.show(
        f"{wanted.path}: session {count} of machines like this one, {head.revision.title}, {len(session.rows)} rows",
        f"{left} more are needed before there is a verdict" if left else "there are enough for a verdict",
    )
    return answers.OK


def judged(wanted: Wanted) -> Gate:
    """The verdict on the working tree by the sessions in the file, or in the file as a revision has it."""
    started, meter = answers.now(), Meter.start()
    with answers.caller_input():
        known = _known(wanted)
    bucket = baseline.bucket_of(machine.describe())
    own = baseline.find(known, bucket)
    with terminal.progress() as progress:
        head, session, failures = _measured(wanted, progress)
        rows = baseline.judged(head, own, session, failures, wanted.threshold, progress)
    gains = baseline.gains(rows, [row.key for row in head.rows])
    notes = [f"{key} is {factor - 1:.1%} faster; --ratchet moves the baseline" for key, factor in gains.items()]
    if wanted.ratchet and gains:
        with answers.caller_input():
            files.write(wanted.path, baseline.with_moves(known, bucket, gains))
        notes = [f"{key} is {factor - 1:.1%} faster: the baseline is moved." for key, factor in gains.items()]
    if len(own.sessions) < rule.SESSIONS:
        notes.append(
            f"There are {len(own.sessions)} sessions of machines like this one; one more: "
            f"mlpbench gate --record --baseline {wanted.path}"
        )
    options = {
        "baseline": str(wanted.path),
        "from": wanted.revision,
        "threshold": wanted.threshold,
        "budget": wanted.budget,
        "rows": [row.key for row in head.rows],
    }
    return verdicts.document(started, options, head.revision, None, rows, [*head.notes, *notes], meter.read(), [])


def _measured(wanted: Wanted, progress: Progress) -> tuple[Head, Session, dict[str, str]]:
    with answers.caller_input():
        head = baseline.prepared(wanted.cases, wanted.backends, wanted.budget, progress)
    return head, *baseline.measure(head, progress, head.task.judged)


def _known(wanted: Wanted) -> Baseline:
    """The baseline of the file. Raises RecordError and TreeError."""
    if wanted.revision is None:
        return files.read(wanted.path, Baseline)
    root = trees.repository()
    try:
        inside = wanted.path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        raise RecordError(f"{wanted.path} is not in {root}, so no revision has it") from None
    text = trees.text_at(root, wanted.revision, inside)
    if text is None:
        raise RecordError(f"{wanted.revision} has no {inside}")
    return files.parse(f"{inside} of {wanted.revision}", text.encode(), Baseline)
