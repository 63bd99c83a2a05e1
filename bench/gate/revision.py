"""``gate --against``: the verdict on the working tree, measured against a revision."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from bench.cases import Case
from bench.checkpoint import Checkpoint, Say
from bench.gate import comparison, gate_rows, preparation
from bench.gate.comparison import GateTask, plan_effort
from bench.gate.rows import BackendCase
from bench.records.gate_schema import Gate, GateRow, GateState
from bench.records.header import now
from pairbench import machine
from pairbench.machine import Meter
from pairbench.progress import Progress
from pairbench.sequential_test import MIN_ROUNDS
from pairbench.worktrees import Checkout, Revision, Worktree


@dataclass(frozen=True)
class RevisionRequest:
    """What is asked for; ``threshold`` as a share, ``budget`` in seconds."""

    revision: str
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float


@dataclass(frozen=True)
class PreparedGate:
    """All that the measuring needs.

    ``rows`` get verdicts. ``wrong`` says by row why the head is wrong, ``failures`` by row and side what failed in the
    trial round. ``task`` has the rows that are neither.
    """

    head: Revision
    base: Revision
    places: Mapping[str, Worktree]
    rows: tuple[BackendCase, ...]
    task: GateTask
    wrong: Mapping[str, str]
    failures: dict[str, dict[str, str]]
    notes: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """What a resumed gate must share with the one that was interrupted: a JSON object."""
        return {
            "head": self.head.digest,
            "base": self.base.digest,
            "rows": [row.key for row in self.rows],
            "threshold": self.task.threshold,
            "machine": machine.bucket(machine.describe()),
        }


def judge_revision(
    request: RevisionRequest, checkpoint: Checkpoint[GateState], resume: bool, progress: Progress, say: Say
) -> tuple[Gate, bool]:
    """The verdict on the working tree, and whether the measuring was interrupted.

    The rounds stay in the checkpoint until it is cleared. Raises ValueError for what cannot be compared or resumed.
    """
    started, meter = now(), Meter.start()
    checkout = Checkout.find(preparation.PACKAGE)
    head, base = checkout.working_tree(), checkout.revision(request.revision)
    checkpoint.check(resume)
    prepared = _prepare_gate(request, checkout, head, base, progress)
    fresh = GateState(settings=prepared.settings(), started=started, rounds=[], failures=prepared.failures, deaths={})
    state = checkpoint.begin(fresh, resume)
    state = state.model_copy(update={"failures": {**state.failures, **prepared.failures}})
    checkpoint.state = state
    if (least := comparison.min_seconds(prepared.task)) > request.budget:
        say(
            f"the {MIN_ROUNDS} rounds that a verdict takes need about {least:.0f} s, and the budget is "
            f"{request.budget:g} s: raise it, or choose fewer rows"
        )
    interrupted = False
    try:
        random = Random(secrets.randbits(32))
        comparison.measure_until_decided(state, prepared.task, prepared.places, random, progress, checkpoint.save)
    except KeyboardInterrupt:
        interrupted = True
        checkpoint.say_how_to_resume()
    state = checkpoint.state
    document = gate_rows.gate_document(
        started=state.started,
        options={
            "against": request.revision,
            "threshold": request.threshold,
            "budget": request.budget,
            "rows": [row.key for row in prepared.rows],
        },
        head=head,
        base=base,
        rows=_judged_rows(state, prepared, "it was interrupted" if interrupted else "the budget ended"),
        notes=prepared.notes,
        conditions=meter.read(),
        rounds=state.rounds,
    )
    return document, interrupted


def _prepare_gate(
    request: RevisionRequest, checkout: Checkout, head: Revision, base: Revision, progress: Progress
) -> PreparedGate:
    """Lay out both revisions, choose the rows, verify the head, and run a trial round."""
    progress.stage(f"head: {head.title}; base: {base.title}")
    places = preparation.lay_out_revisions(checkout, head, base)
    choice = preparation.choose_rows(places, request.cases, request.backends)
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice)
    progress.stage("verifying the head")
    seconds, wrong = preparation.verify_head(places["head"], plans, progress)
    wrong |= choice.wrong
    plans = {key: plan for key, plan in plans.items() if key in seconds}
    progress.stage("a trial round of the base")
    failures, _ = preparation.run_trial_round({"base": places["base"]}, plans)
    places = preparation.add_control(checkout, places, base)
    progress.stage("a trial round, which is not counted")
    plans_left = {key: plan for key, plan in plans.items() if key not in failures}
    more_failures, overhead = preparation.run_trial_round(places, plans_left)
    judged = tuple(row.key for row in choice.rows if row.key in plans)
    notes = [*choice.notes, *_changed_pins(checkout, request.revision)]
    if head.digest == base.digest:
        notes.append("Head and base are the same sources: this is an A/A comparison of two worktrees.")
    return PreparedGate(
        head=head,
        base=base,
        places=places,
        rows=choice.rows,
        task=plan_effort(GateTask(plans, judged, request.threshold, request.budget, overhead), seconds),
        wrong=wrong,
        failures={**failures, **more_failures},
        notes=tuple(notes),
    )


def _judged_rows(state: GateState, prepared: PreparedGate, cut: str) -> list[GateRow]:
    task = prepared.task
    return [
        gate_rows.revision_row(
            row,
            state,
            task,
            {"head": prepared.wrong[row.key]} if row.key in prepared.wrong else state.failures.get(row.key, {}),
            cut,
        )
        for row in prepared.rows
    ]


def _changed_pins(checkout: Checkout, revision: str) -> list[str]:
    return [
        f"The pinned version of {name} changes from {then or 'none'} to {present or 'none'}: both sides were "
        f"measured with {machine.library_version(name) or 'none'}, which is installed."
        for name, (then, present) in checkout.changed_pins(revision).items()
    ]
