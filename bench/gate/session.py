"""Measures a session: the speedups of the working tree's backends, from fresh processes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, median

from bench.cases import Case
from bench.gate import preparation
from bench.gate.row_plans import BackendCase
from bench.records.gate_schema import Session, SessionRow
from bench.records.header import now
from bench.selection import REFERENCE
from pairbench import measurement_loop, round_effort, rounds, sequential_test
from pairbench.progress import Progress
from pairbench.round_processes import ProcessDied
from pairbench.rounds import RoundPlan
from pairbench.worktrees import Checkout, Revision, Worktree

PROCESSES = sequential_test.MIN_ROUNDS
"""Number of fresh processes in a session."""


@dataclass(frozen=True)
class SessionHead:
    """The working tree, verified and ready to be measured.

    ``plans``, ``references`` (the reference's row) and ``wrong`` (the reason of a failure) are by row.
    """

    revision: Revision
    worktree: Worktree
    rows: tuple[BackendCase, ...]
    judged: tuple[str, ...]
    plans: Mapping[str, RoundPlan]
    references: Mapping[str, str]
    wrong: Mapping[str, str]
    notes: tuple[str, ...]


def prepare_head(cases: Sequence[Case], named: Sequence[str], budget: float, progress: Progress) -> SessionHead:
    """Lay out the working tree, choose the rows and verify them. Raises WorktreeError and ValueError."""
    checkout = Checkout.find(preparation.PACKAGE)
    revision = checkout.working_tree()
    progress.stage(f"head: {revision.title}")
    side_worktrees = preparation.lay_out(checkout, {"head": revision})
    worktree = side_worktrees["head"]
    choice = preparation.choose_rows(side_worktrees, cases, named)
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice, {})
    progress.stage("verifying the head")
    seconds, wrong = preparation.verify_side(worktree, plans, progress)
    wrong |= {key: reasons["head"] for key, reasons in choice.wrong.items()}
    right_plans = {key: plan for key, plan in plans.items() if key in seconds}
    rows = tuple(row for row in choice.rows if row.backend != REFERENCE)
    if not rows:
        raise ValueError(f"{REFERENCE} is the reference of the speedups, and has no speedup itself")
    trial = measurement_loop.run_trial_round(side_worktrees, right_plans)
    wrong.update((key, next(iter(reasons.values()))) for key, reasons in trial.failures.items())
    for row in rows:
        reference = choice.references[row.case].key
        if reference in wrong:
            wrong.setdefault(row.key, f"the reference fails: {wrong[reference]}")
    judged = tuple(row.key for row in rows if row.key not in wrong)
    usable = {key: round_effort.with_loops(plan, seconds[key]) for key, plan in right_plans.items() if key not in wrong}
    effort = round_effort.choose_effort(list(usable.values()), budget, trial.overhead)
    timed = {key: round_effort.with_most_blocks(plan, effort) for key, plan in usable.items()}
    return SessionHead(revision, worktree, rows, judged, timed, choice.reference_keys(), wrong, choice.notes)


@dataclass(frozen=True)
class MeasuredSession:
    """A session, the reasons of failures by row, and the number of processes before an interruption, None without."""

    session: Session
    failures: Mapping[str, str]
    interrupted: int | None = None


def measure_session(head: SessionHead, progress: Progress, keys: Sequence[str]) -> MeasuredSession:
    """Measure the speedups of the rows ``keys`` in fresh processes."""
    references = dict.fromkeys(head.references[key] for key in keys)
    plans: list[RoundPlan] = [head.plans[key] for key in dict.fromkeys([*keys, *references]) if key in head.plans]
    seconds: dict[str, list[float]] = {plan.key: [] for plan in plans}
    failures: dict[str, str] = {}
    interrupted = None
    random = Random()
    progress.start(PROCESSES)
    for number in range(PROCESSES):
        progress.stage(f"process {number + 1} of {PROCESSES}")
        remaining = [plan for plan in plans if plan.key not in failures]
        if not remaining:
            break
        try:
            result = rounds.measure_round({"head": head.worktree}, remaining, random)
        except ProcessDied as death:
            failures[death.key] = str(death)
            continue
        except KeyboardInterrupt:
            interrupted = number
            break
        for key, times in result.seconds.items():
            seconds[key].append(median(times["head"]))
        failures.update((key, next(iter(reasons.values()))) for key, reasons in result.failures.items())
        progress.advance()
    rows = {}
    for key in keys:
        reference = head.references[key]
        if reference in failures:
            failures.setdefault(key, f"the reference fails: {failures[reference]}")
        if key not in failures and seconds[key] and seconds[reference]:
            speedup = math.exp(fmean(map(math.log, seconds[reference])) - fmean(map(math.log, seconds[key])))
            rows[key] = SessionRow(
                speedup=speedup, seconds=median(seconds[key]), reference_seconds=median(seconds[reference])
            )
    session = Session(started=now(), head=head.revision.title, digest=head.revision.digest, rows=rows)
    return MeasuredSession(session, failures, interrupted)
