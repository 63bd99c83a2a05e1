"""``gate --baseline``: compares the working tree's speedups with earlier sessions on comparable machines."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import Case
from bench.gate.baseline import certain_gains, find_bucket, nearest_bucket, read_baseline, speedups
from bench.gate.gate_document import gate_document
from bench.gate.row_plans import BackendCase
from bench.gate.session import PROCESSES, MeasuredSession, SessionHead, measure_session, prepare_head
from bench.records.gate_schema import Baseline, Bucket, Cause, Gate, GateRow, Session, SessionRow
from bench.records.header import now
from bench.records.schema import Ratio
from bench.wording import counted, in_percent
from pairbench import machine, sequential_test, session_test
from pairbench.machine import Meter
from pairbench.progress import Progress
from pairbench.sequential_test import Verdict
from pairbench.session_test import SessionJudgement


@dataclass(frozen=True)
class BaselineRequest:
    """The arguments of the gate.

    ``path`` is the baseline file, read at ``revision`` if that is not None. ``threshold`` is a share, ``budget`` is in
    seconds. ``row_options`` are the command-line options that choose the same rows.
    """

    path: Path
    revision: str | None
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float
    row_options: str

    def command(self, name: str) -> str:
        """The command ``mlpbench baseline NAME`` for this file and these rows."""
        return f"mlpbench baseline {name} --baseline {shlex.quote(str(self.path))} {self.row_options}".rstrip()


def judge_against_baseline(request: BaselineRequest, progress: Progress) -> tuple[Gate, bool]:
    """The gate's document on the working tree, and whether the measurement was interrupted.

    Raises ValueError if the baseline cannot be read or the rows cannot be measured.
    """
    started, meter = now(), Meter.start()
    baseline = read_baseline(request.path, request.revision)
    own = find_bucket(baseline, machine.bucket(machine.describe()))
    head = prepare_head(request.cases, request.backends, request.budget, progress)
    measured = measure_session(head, progress, head.task.judged)
    rows, interrupted = judge_and_confirm(head, own, measured, request.threshold, progress)
    gains = {} if interrupted else certain_gains(rows, [row.key for row in head.rows])
    notes = [f"{key} is {in_percent(factor - 1, 1)} faster." for key, factor in gains.items()]
    if gains:
        notes.append(f"To accept gains into the baseline: {request.command('accept')}")
    if len(own.sessions) < session_test.MIN_SESSIONS:
        notes += _too_few_sessions(baseline, own, request.command("record"))
    document = gate_document(
        started=started,
        options={
            "baseline": str(request.path),
            "from": request.revision,
            "threshold": request.threshold,
            "budget": request.budget,
            "rows": [row.key for row in head.rows],
        },
        head=head.revision,
        base=None,
        rows=rows,
        notes=[*head.notes, *notes],
        conditions=meter.read(),
        rounds=[],
    )
    return document, interrupted


def judge_and_confirm(
    head: SessionHead, own: Bucket, measured: MeasuredSession, threshold: float, progress: Progress
) -> tuple[list[GateRow], bool]:
    """The rows of the document, and whether the measurement was interrupted.

    A row that fails in the first session is measured again, and fails only if both sessions show a regression.
    """
    session = measured.session
    first = {
        row.key: _test_session(own, row.key, session, threshold, sequential_test.FAIL_ALPHA / len(head.rows))
        for row in head.rows
        if row.key in session.rows
    }
    interrupted = measured.interrupted is not None
    suspects = [] if interrupted else [key for key, judgement in first.items() if judgement.verdict == "FAIL"]
    repeat = measure_session(head, progress, suspects) if suspects else MeasuredSession(session, {})
    second = {
        key: _test_session(own, key, repeat.session, threshold, sequential_test.CONFIRMATION_ALPHA)
        for key in suspects
        if key in repeat.session.rows
    }
    wrong = {**head.wrong, **measured.failures, **repeat.failures}
    rows = []
    for row in head.rows:
        key = row.key
        if key in wrong:
            rows.append(_gate_row(row, "FAIL", f"the head fails: {wrong[key]}", own, session))
        elif interrupted or (key in suspects and repeat.interrupted is not None):
            reason = f"interrupted before all {PROCESSES} processes of a session were measured"
            rows.append(_gate_row(row, "INCONCLUSIVE", reason, own, session, first.get(key)))
        else:
            latest = repeat.session if key in second else session
            rows.append(_judged_row(row, own, latest, first[key], second.get(key), threshold))
    return rows, interrupted or repeat.interrupted is not None


def _too_few_sessions(baseline: Baseline, own: Bucket, command: str) -> list[str]:
    """Notes that ask for more sessions, and list the differences to the most similar machine with sessions."""
    notes = [
        f"The baseline has {counted(len(own.sessions), 'session')} of machines like this one; record another: {command}"
    ]
    nearest = None if own.sessions else nearest_bucket(baseline, own.machine)
    if nearest is not None:
        other, keys = nearest
        differences = (
            f"{key} ({_text(other.machine.get(key))} there, {_text(own.machine.get(key))} here)" for key in keys
        )
        known = counted(len(other.sessions), "session")
        notes.append(f"The baseline has {known} of a machine that differs in {', '.join(differences)}.")
    return notes


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={setting}" for name, setting in value.items())
    return " ".join(value) if isinstance(value, list) else str(value or "none")


def _test_session(own: Bucket, key: str, session: Session, threshold: float, alpha: float) -> SessionJudgement:
    return session_test.judge_session(speedups(own, key), math.log(session.rows[key].speedup), threshold, alpha)


def _judged_row(
    row: BackendCase,
    own: Bucket,
    session: Session,
    first: SessionJudgement,
    second: SessionJudgement | None,
    threshold: float,
) -> GateRow:
    judgement = first if second is None else second
    changed = _changed_times(_history(own, row.key), session.rows[row.key])
    verdict, reason = judgement.verdict, ""
    if judgement.sessions < session_test.MIN_SESSIONS:
        reason = f"only {judgement.sessions} of the {session_test.MIN_SESSIONS} sessions that a verdict needs"
    elif verdict == "FAIL" and changed == ["reference"]:
        verdict, reason = "INCONCLUSIVE", "the speedup fell because the reference became faster"
    elif verdict == "FAIL":
        reason = f"the speedup fell by more than {in_percent(threshold, 1)}, confirmed by a second session"
    elif second is not None:
        reason = "a suspected regression was not confirmed"
    elif verdict == "INCONCLUSIVE":
        reason = f"the sessions vary too much to detect {in_percent(threshold, 1)}"
    return _gate_row(row, verdict, reason, own, session, judgement, changed, None if second is None else PROCESSES)


def _gate_row(
    row: BackendCase,
    verdict: Verdict,
    reason: str,
    own: Bucket,
    session: Session,
    judgement: SessionJudgement | None = None,
    changed: Sequence[Cause] = (),
    confirming_rounds: int | None = None,
) -> GateRow:
    """The row of the document; its figures are null without a judgement."""
    before = [] if judgement is None else [earlier.seconds for earlier in _history(own, row.key)]
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=median(before) if before else None,
        head_seconds=None if judgement is None else session.rows[row.key].seconds,
        change=None if judgement is None else _change(judgement),
        typical_change=None,
        speedup_change=None,
        aa_ratio=None,
        slow_processes=None,
        minimum_detectable_effect=(
            None if judgement is None or judgement.detectable is None else math.exp(judgement.detectable)
        ),
        rounds=0 if judgement is None else judgement.sessions,
        confirming_rounds=confirming_rounds,
        changed_times=list(changed),
    )


def _change(judgement: SessionJudgement) -> Ratio | None:
    if judgement.estimate is None or judgement.low is None or judgement.high is None:
        return None
    return Ratio(estimate=math.exp(judgement.estimate), low=math.exp(judgement.low), high=math.exp(judgement.high))


def _history(own: Bucket, key: str) -> list[SessionRow]:
    """The records of a row in the bucket's sessions."""
    return [session.rows[key] for session in own.sessions if key in session.rows]


def _changed_times(before: Sequence[SessionRow], now: SessionRow) -> list[Cause]:
    """Which of the two times, the backend's and the reference's, lie outside their prediction intervals."""
    times: dict[Cause, tuple[list[float], float]] = {
        "backend": ([earlier.seconds for earlier in before], now.seconds),
        "reference": ([earlier.reference_seconds for earlier in before], now.reference_seconds),
    }
    return [
        cause
        for cause, (history, value) in times.items()
        if len(history) >= session_test.MIN_SESSIONS
        and session_test.outside_prediction([math.log(earlier) for earlier in history], math.log(value))
    ]
