"""Prepares the rounds: lays out the revisions, chooses the rows, and verifies the head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bench import selection
from bench.arms import Arm
from bench.cases import Case
from bench.correctness import CaseJudge, CaseWorkload
from bench.gate.revision_backends import BackendListing, RevisionBroken, broken_like, list_backends
from bench.gate.row_plans import BackendCase, RowPlan, plan_row
from bench.proof.verify import expect_case
from impls._registry import unknown_backend_message
from pairbench import worktrees
from pairbench.measure import Measurement, time_in_worker
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort, TimeJob
from pairbench.worktrees import Checkout, Revision, Worktree

PACKAGE = "impls"
DEFAULT_GATE_CASES = {"3-3-1": (("forward", 1),), "100-100-50-10": (("forward", 1), ("gradient", 64))}
"""Operations and batches of the default cases, by network."""
LONG_CALL_SECONDS = 0.05
"""Length of a call above which a default case is replaced by the same operation on one sample."""
VERIFY_ONLY = Effort(
    processes=1, seconds_per_arm=0.0, max_blocks=1, slow_call_seconds=0.05, slow_processes=1, compile=False
)


@dataclass(frozen=True)
class RowChoice:
    """The rows to compare, the cases in their order, and a note for each backend that is not compared.

    ``wrong`` has, by row and side, the reason why the backend cannot be used; the rows are those that the head breaks.
    ``references`` has, by case, the row of the reference over which the speedup is computed.
    """

    rows: tuple[BackendCase, ...]
    wrong: Mapping[str, Mapping[str, str]]
    cases: tuple[Case, ...]
    notes: tuple[str, ...]
    references: Mapping[Case, BackendCase]

    def reference_keys(self) -> dict[str, str]:
        """The name of the reference's row, by row."""
        return {row.key: self.references[row.case].key for row in self.rows}


def choose_rows(side_worktrees: Mapping[str, Worktree], cases: Sequence[Case], named: Sequence[str]) -> RowChoice:
    """The rows of the backends that all sides have, of the named backends or, by default, the core backends.

    Rows of a backend that is broken in the head are included. Raises ValueError for a named backend that no side has,
    that cannot run here or that is the same on all sides, and if there are no rows.
    """
    sides = list(side_worktrees)
    listings = _listings(side_worktrees, cases)
    by_side = {side: listing.descriptions for side, listing in listings.items()}
    on_any_side = {name: backend for backends in by_side.values() for name, backend in backends.items()}
    for name in named:
        if name not in on_any_side:
            raise ValueError(unknown_backend_message(name, list(on_any_side)))
        if on_any_side[name].reason and not on_any_side[name].broken:
            raise ValueError(on_any_side[name].reason)
    origins = {name: origin for listing in listings.values() for name, origin in listing.origins.items()}
    for name in named:
        if origins[name] == "third party" and len(sides) > 1:
            raise ValueError(f"{name} is installed outside of the two revisions, so both would measure the same code")
    chosen = named or [name for name, origin in origins.items() if origin in selection.BY_DEFAULT]
    rows, notes, wrong = [], [], {}
    for name in selection.in_order(dict.fromkeys(chosen)):
        sides_with_it = [side for side in sides if name in by_side[side]]
        usable = [by_side[side][name] for side in sides_with_it if not by_side[side][name].reason]
        reasons = [by_side[side][name].reason for side in sides_with_it if by_side[side][name].reason]
        if len(sides_with_it) < len(sides):
            notes.append(f"{name} is not compared: only the {sides_with_it[0]} has it.")
        elif reasons and not by_side["head"][name].broken:
            notes.append(f"{name} is not compared: {reasons[0]}")
        else:
            for index, case in enumerate(cases):
                unsupported = any(case.operation in backend.unsupported[index] for backend in usable)
                if unsupported or any(case.dtype not in backend.dtypes for backend in usable):
                    notes.append(f"{name} does not support {case}.")
                else:
                    rows.append(BackendCase(name, case))
                    if by_side["head"][name].broken:
                        wrong[rows[-1].key] = {
                            side: by_side[side][name].reason for side in sides if by_side[side][name].broken
                        }
    if not rows:
        raise ValueError(f"there is nothing to compare: {' '.join(notes)}")
    rows.sort(key=lambda row: cases.index(row.case))
    references = {case: BackendCase(selection.REFERENCE, case) for case in cases}
    return RowChoice(tuple(rows), wrong, tuple(cases), tuple(notes), references)


def _listings(side_worktrees: Mapping[str, Worktree], cases: Sequence[Case]) -> dict[str, BackendListing]:
    """The backends of each side. If the head cannot list its own, they are those of the base, and broken."""
    listings, broken = {}, ""
    for side, worktree in side_worktrees.items():
        try:
            listings[side] = list_backends(worktree, cases)
        except RevisionBroken as error:
            if side != "head" or "base" not in side_worktrees:
                raise
            broken = error.reason
    if broken:
        listings["head"] = broken_like(listings["base"], broken)
    return listings


def shorten_rows(choice: RowChoice, seconds: Mapping[str, float]) -> RowChoice:
    """The choice with one sample instead of a batch in the rows of which a call takes long; ``seconds`` by row."""

    def shorten(row: BackendCase) -> BackendCase:
        is_long = seconds.get(row.key, 0.0) > LONG_CALL_SECONDS and row.case.operation != "train"
        return replace(row, case=replace(row.case, batch=1)) if is_long else row

    rows = tuple(map(shorten, choice.rows))
    references = {case: shorten(reference) for case, reference in choice.references.items()}
    references |= {row.case: BackendCase(selection.REFERENCE, row.case) for row in rows if row.case not in references}
    return replace(choice, rows=rows, cases=tuple(references), references=references)


def plan_rows(choice: RowChoice, known: Mapping[str, RowPlan]) -> dict[str, RowPlan]:
    """Plans of the usable rows and of the references at their cases, each with one call in one block.

    ``known`` has plans of an earlier choice, whose exact results need not be computed again.
    """
    planned = dict.fromkeys([*choice.rows, *(choice.references[row.case] for row in choice.rows)])
    judges = {plan.row.case: plan.judge_of_case for plan in known.values()}
    for case in dict.fromkeys(row.case for row in planned):
        if case not in judges:
            judges[case] = CaseJudge(case, expect_case(case))
    return {row.key: plan_row(row, judges[row.case]) for row in planned if row.key not in choice.wrong}


def verify_side(
    worktree: Worktree, plans: Mapping[str, RowPlan], progress: Progress
) -> tuple[dict[str, float], dict[str, str]]:
    """Verify the rows of a worktree.

    Returns the seconds per call of the rows that are right, and the reasons of the rows that fail.
    """
    if not plans:
        return {}, {}
    arms = {Arm(key, plan.row.backend, plan.row.case): plan for key, plan in plans.items()}
    cases = dict.fromkeys(arm.case for arm in arms)
    groups = tuple(tuple(arm for arm in arms if arm.case == case) for case in cases)
    measurement = Measurement(groups)
    judges = {arm: plan.judge_of_case for arm, plan in arms.items()}
    workloads = {arm: CaseWorkload.of(arm.backend, arm.case, judges[arm].expectation) for arm in arms}
    job = TimeJob(groups, workloads, {}, VERIFY_ONLY, seed=0, guarded=selection.GUARDED)
    time_in_worker(job, judges, measurement, progress, [worktree.path])
    seconds = {arm.name: measurement.seconds[arm] for arm in arms if arm in measurement.seconds}
    return seconds, {arm.name: reason for arm, reason in measurement.failures.items()}


def lay_out(checkout: Checkout, revisions: Mapping[str, Revision]) -> dict[str, Worktree]:
    """The worktrees of the revisions, by side; stale worktrees are removed first. Raises WorktreeError.

    A worktree whose revision another side already has is a copy of that side's worktree, with its compiled code.
    """
    store = checkout.root / worktrees.STORE
    worktrees.remove_stale(store)
    return {side: worktrees.lay_out(store, revision, side) for side, revision in revisions.items()}
