"""What comes before the rounds: both revisions laid out and compiled, the rows chosen, the head verified."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import selection
from bench.arms import Arm
from bench.cases import Case
from bench.correctness import CaseWorkload
from bench.gate.backend_listing import list_backends
from bench.gate.rows import BackendCase, RowPlan, plan_row
from bench.proof.verify import expect_case
from pairbench import rounds, worktrees
from pairbench.measure import Measurement, time_in_worker
from pairbench.progress import Progress
from pairbench.rounds import ProcessDied
from pairbench.worker_protocol import Effort, TimeJob
from pairbench.worktrees import Checkout, Revision, Worktree

PACKAGE = "impls"
DEFAULT = {"3-3-1": (("forward", 1),), "100-100-50-10": (("forward", 1), ("gradient", 64))}
"""Operation and batch of the rows, by network."""
VERIFY_ONLY = Effort(
    processes=1, seconds_per_arm=0.0, max_blocks=1, slow_call_seconds=0.05, slow_processes=1, compile=False
)
STORE = Path(".mlpbench") / "gate"
"""Where the worktrees are kept, in the checkout."""


@dataclass(frozen=True)
class RowChoice:
    """The rows that can be compared, the cases in their order, and a line for each backend that cannot be.

    ``wrong`` says by row why the head's backend cannot even be used.
    """

    rows: tuple[BackendCase, ...]
    wrong: Mapping[str, str]
    cases: tuple[Case, ...]
    notes: tuple[str, ...]


def choose_rows(places: Mapping[str, Worktree], cases: Sequence[Case], named: Sequence[str]) -> RowChoice:
    """The rows of the named backends, by default of the core, that all sides have.

    A backend that is broken in the head is among them. Raises ValueError for a name that no side has, and for a backend
    that needs something that is not installed.
    """
    sides = list(places)
    listings = {side: list_backends(place, cases) for side, place in places.items()}
    found = {side: listing.found for side, listing in listings.items()}
    everywhere = {name: backend for backends in found.values() for name, backend in backends.items()}
    for name in named:
        if name not in everywhere:
            raise ValueError(f"no backend is named {name!r}; there are {', '.join(everywhere)}")
        if everywhere[name].reason and not everywhere[name].broken:
            raise ValueError(everywhere[name].reason)
    origins = {name: origin for listing in listings.values() for name, origin in listing.origins.items()}
    wanted = named or [name for name, origin in origins.items() if origin == "core"]
    rows, notes, wrong = [], [], {}
    for name in selection.in_order(dict.fromkeys(wanted)):
        having = [side for side in sides if name in found[side]]
        usable = [found[side][name] for side in having if not found[side][name].reason]
        reasons = [found[side][name].reason for side in having if found[side][name].reason]
        if len(having) < len(sides):
            notes.append(f"{name} is in the {having[0]} only: it is not compared.")
        elif reasons and not found["head"][name].broken:
            notes.append(f"{name} is not compared: {reasons[0]}")
        else:
            for index, case in enumerate(cases):
                unsupported = any(case.operation in backend.unsupported[index] for backend in usable)
                if unsupported or any(case.dtype not in backend.dtypes for backend in usable):
                    notes.append(f"{name} does not support {case}.")
                else:
                    rows.append(BackendCase(name, case))
                    if found["head"][name].broken:
                        wrong[rows[-1].key] = found["head"][name].reason
    if not rows:
        raise ValueError(f"there is nothing to compare: {' '.join(notes)}")
    rows.sort(key=lambda row: cases.index(row.case))
    return RowChoice(tuple(rows), wrong, tuple(cases), tuple(notes))


def plan_rows(choice: RowChoice) -> dict[str, RowPlan]:
    """Plans of the rows that can be used and of the reference at their cases, as yet one call each."""
    references = [
        BackendCase(selection.REFERENCE, case) for case in choice.cases if any(row.case == case for row in choice.rows)
    ]
    expectations = {row.case: expect_case(row.case) for row in references}
    wanted = dict.fromkeys([*choice.rows, *references])
    return {row.key: plan_row(row, expectations[row.case]) for row in wanted if row.key not in choice.wrong}


def verify_head(
    worktree: Worktree, chosen: Mapping[str, RowPlan], progress: Progress
) -> tuple[dict[str, float], dict[str, str]]:
    """Verify the rows of a worktree: seconds per call of those that are right, reasons of those that are not."""
    if not chosen:
        return {}, {}
    arms = {Arm(key, plan.row.backend, plan.row.case): plan for key, plan in chosen.items()}
    cases = dict.fromkeys(arm.case for arm in arms)
    groups = tuple(tuple(arm for arm in arms if arm.case == case) for case in cases)
    measurement = Measurement(groups)
    workloads = {arm: CaseWorkload(arm.backend, arm.case, plan.expectation) for arm, plan in arms.items()}
    time_in_worker(TimeJob(groups, workloads, {}, VERIFY_ONLY, seed=0), measurement, progress, [worktree.path])
    seconds = {arm.name: measurement.seconds[arm] for arm in arms if arm in measurement.seconds}
    return seconds, {arm.name: reason for arm, reason in measurement.failures.items()}


def run_trial_round(
    places: Mapping[str, Worktree], chosen: Mapping[str, RowPlan]
) -> tuple[dict[str, dict[str, str]], float]:
    """One round that is not counted, which compiles what is not compiled yet.

    Returns what fails, by row and side, and how many seconds of a round are spent on other things than timing.
    """
    failures: dict[str, dict[str, str]] = {}
    while open_plans := [plan for key, plan in chosen.items() if key not in failures]:
        start = time.monotonic()
        try:
            outcomes = rounds.measure_round(places, open_plans, Random(0))
        except ProcessDied as death:
            failures[death.key] = {death.side: str(death)}
            continue
        timed = sum(sum(map(sum, times.values())) for times in outcomes.seconds.values())
        return {**failures, **outcomes.failures}, max(0.0, time.monotonic() - start - timed)
    return failures, 0.0


def lay_out_revisions(checkout: Checkout, head: Revision, base: Revision) -> dict[str, Worktree]:
    """Worktrees of the head and the base."""
    store = checkout.root / STORE
    worktrees.remove_stale(store)
    return {"head": worktrees.lay_out(store, head, "head"), "base": worktrees.lay_out(store, base, "base")}


def add_control(checkout: Checkout, places: Mapping[str, Worktree], base: Revision) -> dict[str, Worktree]:
    """The worktrees with that of the control: a copy of the base's, with what it has compiled."""
    return {**places, "control": worktrees.lay_out(checkout.root / STORE, base, "control")}
