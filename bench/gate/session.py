"""A session: the speedups of the working tree's backends, measured in fresh processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, median

from bench.cases import Case
from bench.gate import preparation
from bench.gate.comparison import GateTask, plan_effort
from bench.gate.rows import BackendCase, RowPlan
from bench.records.gate_schema import Session, SessionRow
from bench.records.header import now
from bench.selection import REFERENCE
from pairbench import rounds, sequential_test, worktrees
from pairbench.progress import Progress
from pairbench.rounds import ProcessDied
from pairbench.worktrees import Checkout, Revision, Worktree

PROCESSES = sequential_test.MIN_ROUNDS
"""Fresh processes of a session."""


@dataclass(frozen=True)
class SessionHead:
    """The working tree, verified and ready to be measured; ``wrong`` says by row what is wrong."""

    revision: Revision
    worktree: Worktree
    rows: tuple[BackendCase, ...]
    task: GateTask
    wrong: Mapping[str, str]
    notes: tuple[str, ...]


def prepare_head(cases: Sequence[Case], named: Sequence[str], budget: float, progress: Progress) -> SessionHead:
    """Lay the working tree out, choose the rows and verify them. Raises WorktreeError and ValueError."""
    checkout = Checkout.find(preparation.PACKAGE)
    revision, store = checkout.working_tree(), checkout.root / preparation.STORE
    progress.stage(f"head: {revision.title}")
    worktrees.remove_stale(store)
    worktree = worktrees.lay_out(store, revision, "head")
    choice = preparation.choose_rows({"head": worktree}, cases, named)
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice)
    progress.stage("verifying the head")
    seconds, wrong = preparation.verify_head(worktree, plans, progress)
    wrong |= choice.wrong
    right = {key: plan for key, plan in plans.items() if key in seconds}
    rows = tuple(row for row in choice.rows if row.backend != REFERENCE)
    if not rows:
        raise ValueError(f"{REFERENCE} is the reference, and has no speedup of its own")
    failures, overhead = preparation.run_trial_round({"head": worktree}, right)
    wrong.update((key, next(iter(reasons.values()))) for key, reasons in failures.items())
    for row in rows:
        reference = row.of(REFERENCE).key
        if reference in wrong:
            wrong.setdefault(row.key, f"the reference fails: {wrong[reference]}")
    judged = tuple(row.key for row in rows if row.key not in wrong)
    task = plan_effort(
        GateTask({key: right[key] for key in right if key not in wrong}, judged, 0.0, budget, overhead), seconds
    )
    return SessionHead(revision, worktree, rows, task, wrong, choice.notes)


@dataclass(frozen=True)
class MeasuredSession:
    """A session, by row what failed, and after how many processes it was interrupted; None if it was not."""

    session: Session
    failures: Mapping[str, str]
    interrupted: int | None = None


def measure_session(head: SessionHead, progress: Progress, keys: Sequence[str]) -> MeasuredSession:
    """A session: speedups of these rows from fresh processes."""
    references = dict.fromkeys(head.task.plans[key].row.of(REFERENCE).key for key in keys)
    wanted: list[RowPlan] = [
        head.task.plans[key] for key in dict.fromkeys([*keys, *references]) if key in head.task.plans
    ]
    found: dict[str, list[float]] = {plan.key: [] for plan in wanted}
    failures: dict[str, str] = {}
    interrupted = None
    random = Random()
    progress.start(PROCESSES)
    for number in range(PROCESSES):
        progress.stage(f"process {number + 1} of {PROCESSES}")
        right = [plan for plan in wanted if plan.key not in failures]
        if not right:
            break
        try:
            result = rounds.measure_round({"head": head.worktree}, right, random)
        except ProcessDied as death:
            failures[death.key] = str(death)
            continue
        except KeyboardInterrupt:
            interrupted = number
            break
        for key, times in result.seconds.items():
            found[key].append(median(times["head"]))
        failures.update((key, next(iter(reasons.values()))) for key, reasons in result.failures.items())
        progress.advance()
    rows = {}
    for key in keys:
        reference = head.task.plans[key].row.of(REFERENCE).key
        if reference in failures:
            failures.setdefault(key, f"the reference fails: {failures[reference]}")
        if key not in failures and found[key] and found[reference]:
            speedup = math.exp(fmean(map(math.log, found[reference])) - fmean(map(math.log, found[key])))
            seconds, reference_seconds = median(found[key]), median(found[reference])
            rows[key] = SessionRow(speedup=speedup, seconds=seconds, reference_seconds=reference_seconds)
    session = Session(started=now(), head=head.revision.title, digest=head.revision.digest, rows=rows)
    return MeasuredSession(session, failures, interrupted)
