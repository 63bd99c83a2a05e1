"""``gate --baseline``: this working tree's speedups against those of earlier sessions on a machine like this one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from statistics import fmean, median
from typing import Any

from bench.cases import Case
from bench.gate import preparation
from bench.gate.comparison import GateTask, plan_effort
from bench.gate.gate_rows import change_ratio
from bench.records.gate_schema import AcceptedGain, Baseline, Bucket, Cause, GateRow, Session, SessionRow, Verdict
from bench.selection import REFERENCE
from pairbench import rounds, sequential_test, worktrees
from pairbench.progress import Progress
from pairbench.rounds import BackendCase, ProcessDied, RoundPlan
from pairbench.sequential_test import Judgement
from pairbench.worktrees import Revision

SETS = sequential_test.MIN_ROUNDS
"""Fresh processes of a session."""


@dataclass(frozen=True)
class BaselineHead:
    """The working tree, ready to be measured; ``wrong`` says by row what the proof found."""

    revision: Revision
    tree: Path
    rows: tuple[BackendCase, ...]
    task: GateTask
    wrong: Mapping[str, str]
    notes: tuple[str, ...]


def prepare_head(cases: Sequence[Case], named: Sequence[str], budget: float, progress: Progress) -> BaselineHead:
    """Lay the working tree out, choose the rows and prove them right. Raises TreeError and ValueError."""
    root = worktrees.find_repository()
    revision = worktrees.working_tree(root)
    progress.stage(f"head: {revision.title}")
    worktrees.remove_stale(root / preparation.STORE)
    tree = worktrees.lay_out(root / preparation.STORE, revision, "head")
    choice = preparation.choose_rows({"head": tree}, cases, named)
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice)
    progress.stage("proving the head right")
    seconds, wrong = preparation.verify_head(tree, plans, progress)
    wrong |= choice.wrong
    right = {key: plan for key, plan in plans.items() if key in seconds}
    rows = tuple(row for row in choice.rows if row.backend != REFERENCE)
    if not rows:
        raise ValueError(f"{REFERENCE} is what the others are compared with, and has no speedup of its own")
    failures, starting = preparation.run_trial_round({"head": tree}, right)
    wrong.update((key, next(iter(reasons.values()))) for key, reasons in failures.items())
    for row in rows:
        beside = row.of(REFERENCE).key
        if beside in wrong:
            wrong.setdefault(row.key, f"the reference fails: {wrong[beside]}")
    judged = tuple(row.key for row in rows if row.key not in wrong)
    task = plan_effort(
        GateTask({key: right[key] for key in right if key not in wrong}, judged, 0.0, budget, starting), seconds
    )
    return BaselineHead(revision, tree, rows, task, wrong, choice.notes)


@dataclass(frozen=True)
class MeasuredSession:
    """A session, by row what failed, and after how many processes it was interrupted; None if it was not."""

    session: Session
    failures: Mapping[str, str]
    interrupted: int | None = None


def measure_session(head: BaselineHead, progress: Progress, keys: Sequence[str]) -> MeasuredSession:
    """A session: speedups of these rows from fresh processes."""
    beside = dict.fromkeys(head.task.plans[key].row.of(REFERENCE).key for key in keys)
    wanted: list[RoundPlan] = [
        head.task.plans[key] for key in dict.fromkeys([*keys, *beside]) if key in head.task.plans
    ]
    found: dict[str, list[float]] = {plan.key: [] for plan in wanted}
    failures: dict[str, str] = {}
    interrupted = None
    random = Random()
    progress.start(SETS)
    for number in range(SETS):
        progress.stage(f"process {number + 1} of {SETS}")
        right = [plan for plan in wanted if plan.key not in failures]
        if not right:
            break
        try:
            outcomes = rounds.measure_round({"head": head.tree}, right, random)
        except ProcessDied as death:
            failures[death.key] = str(death)
            continue
        except KeyboardInterrupt:
            interrupted = number
            break
        for key, times in outcomes.seconds.items():
            found[key].append(median(times["head"]))
        failures.update((key, next(iter(reasons.values()))) for key, reasons in outcomes.failures.items())
        progress.advance()
    rows = {}
    for key in keys:
        reference = head.task.plans[key].row.of(REFERENCE).key
        if reference in failures:
            failures.setdefault(key, f"the reference fails: {failures[reference]}")
        if key not in failures and found[key] and found[reference]:
            speedup = math.exp(fmean(map(math.log, found[reference])) - fmean(map(math.log, found[key])))
            seconds, beside_seconds = median(found[key]), median(found[reference])
            rows[key] = SessionRow(speedup=speedup, seconds=seconds, reference_seconds=beside_seconds)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    session = Session(started=started, head=head.revision.title, digest=head.revision.digest, rows=rows)
    return MeasuredSession(session, failures, interrupted)


def add_session(baseline: Baseline, bucket: dict[str, Any], session: Session) -> Baseline:
    """The baseline with a session more in the bucket."""
    own = find_bucket(baseline, bucket)
    return _replaced(baseline, own.model_copy(update={"sessions": [*own.sessions, session]}))


def accept_gains(baseline: Baseline, bucket: dict[str, Any], gains: Mapping[str, float]) -> Baseline:
    """The baseline moved up for rows that became faster, by the factors of their speedups."""
    own = find_bucket(baseline, bucket)
    moves = [AcceptedGain(row=key, factor=factor, sessions=len(own.sessions)) for key, factor in gains.items()]
    return _replaced(baseline, own.model_copy(update={"moves": [*own.moves, *moves]}))


def find_bucket(baseline: Baseline, bucket: dict[str, Any]) -> Bucket:
    """The bucket of a machine, empty where there is none."""
    empty = Bucket(machine=bucket, sessions=[], moves=[])
    return next((one for one in baseline.buckets if one.machine == bucket), empty)


def nearest_bucket(baseline: Baseline, bucket: dict[str, Any]) -> tuple[Bucket, list[str]] | None:
    """The bucket that differs from a machine in fewest things, and these; None where there is no bucket."""
    differences = [(one, [key for key in bucket if one.machine.get(key) != bucket[key]]) for one in baseline.buckets]
    return min(differences, key=lambda pair: len(pair[1]), default=None)


def judge_baseline(
    head: BaselineHead, own: Bucket, measured: MeasuredSession, threshold: float, progress: Progress
) -> tuple[list[GateRow], bool]:
    """The rows of the document, and whether the measuring was interrupted.

    What a session makes suspect is measured again before it is called a regression.
    """
    session = measured.session
    first = {
        row.key: _predicted(own, row.key, session, threshold, sequential_test.FAIL_ALPHA / len(head.rows))
        for row in head.rows
        if row.key in session.rows
    }
    interrupted = measured.interrupted is not None
    suspects = [] if interrupted else [key for key, found in first.items() if found.verdict == "FAIL"]
    again = measure_session(head, progress, suspects) if suspects else MeasuredSession(session, {})
    second = {
        key: _predicted(own, key, again.session, threshold, sequential_test.PASS_ALPHA)
        for key in suspects
        if key in again.session.rows
    }
    wrong = {**head.wrong, **measured.failures, **again.failures}
    rows = []
    for row in head.rows:
        key = row.key
        if key in wrong:
            rows.append(_told(row, "FAIL", f"the head fails: {wrong[key]}", own, session))
        elif interrupted or (key in suspects and again.interrupted is not None):
            reason = f"it was interrupted before all {SETS} processes of a session were measured"
            rows.append(_told(row, "INCONCLUSIVE", reason, own, session, first.get(key)))
        else:
            latest = again.session if key in second else session
            rows.append(_row(row, own, latest, first[key], second.get(key), threshold))
    return rows, interrupted or again.interrupted is not None


def certain_gains(rows: Sequence[GateRow], keys: Sequence[str]) -> dict[str, float]:
    """By row, the factor of a speedup that has certainly grown."""
    return {
        key: 1 / row.change.estimate
        for key, row in zip(keys, rows, strict=True)
        if row.change is not None
        and row.change.high is not None
        and row.change.high < 1
        and row.sets >= sequential_test.MIN_SESSIONS
    }


def _predicted(own: Bucket, key: str, session: Session, threshold: float, alpha: float) -> Judgement:
    return sequential_test.judge_session(speedups(own, key), math.log(session.rows[key].speedup), threshold, alpha)


def speedups(own: Bucket, key: str) -> list[float]:
    """Logarithms of a row's speedups in the bucket's sessions, moved as it was ratcheted."""
    moves = [move for move in own.moves if move.row == key]
    return [
        math.log(session.rows[key].speedup) + sum(math.log(move.factor) for move in moves if number < move.sessions)
        for number, session in enumerate(own.sessions)
        if key in session.rows
    ]


def _row(
    row: BackendCase, own: Bucket, session: Session, first: Judgement, second: Judgement | None, threshold: float
) -> GateRow:
    found = first if second is None else second
    moved = _moved(_before(own, row.key), session.rows[row.key])
    verdict, reason = found.verdict, ""
    if found.sets < sequential_test.MIN_SESSIONS:
        reason = f"{found.sets} of the {sequential_test.MIN_SESSIONS} sessions that a verdict takes"
    elif verdict == "FAIL" and moved == ["reference"]:
        verdict, reason = "INCONCLUSIVE", "its speedup fell because the reference became faster"
    elif verdict == "FAIL":
        reason = f"its speedup fell by more than {threshold:.1%}, and again when it was measured again"
    elif second is not None:
        reason = "a first suspicion was not confirmed"
    elif verdict == "INCONCLUSIVE":
        reason = f"the sessions differ too much to tell {threshold:.1%}"
    return _told(row, verdict, reason, own, session, found, moved, None if second is None else SETS)


def _told(
    row: BackendCase,
    verdict: Verdict,
    reason: str,
    own: Bucket,
    session: Session,
    found: Judgement | None = None,
    moved: Sequence[Cause] = (),
    confirming: int | None = None,
) -> GateRow:
    """The row of the document, with times where ``found`` says that there are."""
    before = [] if found is None else [one.seconds for one in _before(own, row.key)]
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=median(before) if before else None,
        head_seconds=None if found is None else session.rows[row.key].seconds,
        change=None if found is None else change_ratio(found),
        speedup_change=None,
        offset=None,
        detectable=None if found is None or found.detectable is None else math.exp(found.detectable),
        sets=0 if found is None else found.sets,
        confirming=confirming,
        moved=list(moved),
    )


def _before(own: Bucket, key: str) -> list[SessionRow]:
    """A row in the bucket's sessions."""
    return [one.rows[key] for one in own.sessions if key in one.rows]


def _moved(before: Sequence[SessionRow], now: SessionRow) -> list[Cause]:
    """Which of the two times lies outside what the sessions predict."""
    times: dict[Cause, tuple[list[float], float]] = {
        "backend": ([old.seconds for old in before], now.seconds),
        "reference": ([old.reference_seconds for old in before], now.reference_seconds),
    }
    return [
        cause
        for cause, (history, value) in times.items()
        if len(history) >= sequential_test.MIN_SESSIONS
        and sequential_test.outside_prediction([math.log(old) for old in history], math.log(value))
    ]


def _replaced(baseline: Baseline, own: Bucket) -> Baseline:
    others = [one for one in baseline.buckets if one.machine != own.machine]
    return baseline.model_copy(update={"buckets": [*others, own]})
