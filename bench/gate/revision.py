"""``gate --against``: measures the working tree against a revision, and gives a verdict."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from bench.cases import Case
from bench.checkpoint import Checkpoint
from bench.gate import counted_rows, gate_document, preparation
from bench.gate.preparation import RowChoice
from bench.gate.row_plans import BackendCase
from bench.records.gate_schema import Gate, GateRow, GateState
from bench.records.header import now
from bench.selection import REFERENCE
from pairbench import machine, measurement_loop, round_effort
from pairbench.machine import Meter
from pairbench.measurement_loop import GateTask
from pairbench.module_sources import same_sources
from pairbench.progress import Progress
from pairbench.wording import counted
from pairbench.worktrees import Checkout, Revision, Worktree

UNCHANGED = "unchanged: head and base have the same sources; --all-rows measures it"


@dataclass(frozen=True)
class RevisionRequest:
    """The arguments of the gate. ``revision``: the base. ``threshold`` is a share, ``budget`` is in seconds.

    ``short_calls``: whether a row whose call takes long is measured with one sample instead of its batch.
    ``all_rows``: whether rows whose sources are the same in both revisions are measured, too. ``counts``: whether the
    instructions of a call are counted after the measurement.
    """

    revision: str
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float
    short_calls: bool = False
    all_rows: bool = True
    counts: bool = False


@dataclass(frozen=True)
class PreparedGate:
    """The input of the measurement.

    ``rows`` get verdicts; those of ``unchanged`` are not measured. ``wrong`` has, by row and side, the reason of a
    failure before the rounds, of rows that the head fails; ``failures`` has those of the trial round. ``task`` has the
    plans of the rows that the head gets right.
    """

    head: Revision
    base: Revision
    side_worktrees: Mapping[str, Worktree]
    rows: tuple[BackendCase, ...]
    unchanged: frozenset[BackendCase]
    task: GateTask
    wrong: Mapping[str, Mapping[str, str]]
    failures: dict[str, dict[str, str]]
    notes: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """The settings that a resumed gate must share with the interrupted one, as a JSON object."""
        return {
            "head": self.head.digest,
            "base": self.base.digest,
            "rows": [row.key for row in self.rows],
            "threshold": self.task.threshold,
            "machine": machine.bucket(machine.describe()),
        }


def judge_revision(
    request: RevisionRequest, checkpoint: Checkpoint[GateState], resume: bool, progress: Progress
) -> tuple[Gate, bool]:
    """The gate's document on the working tree, and whether the measurement was interrupted.

    The rounds stay in the checkpoint until the caller clears it. Raises ValueError if the revisions cannot be compared,
    or the checkpoint cannot be resumed.
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
    interrupted = False
    try:
        random = Random(secrets.randbits(32))
        measurement_loop.measure_until_decided(
            state, prepared.task, prepared.side_worktrees, random, progress, checkpoint.save
        )
    except KeyboardInterrupt:
        interrupted = True
    state = checkpoint.state
    conditions = meter.read()
    rows = _judged_rows(state, prepared, "the measurement was interrupted" if interrupted else "the budget ended")
    notes = list(prepared.notes)
    if request.counts and not interrupted:
        by_key = dict(zip((row.key for row in prepared.rows), rows, strict=True))
        rows, more_notes = counted_rows.add_counts(by_key, prepared.task.plans, prepared.side_worktrees, progress)
        notes += more_notes
    document = gate_document.gate_document(
        started=state.started,
        options={
            "against": request.revision,
            "checkout": str(checkout.root),
            "threshold": request.threshold,
            "budget": request.budget,
            "rows": [row.key for row in prepared.rows],
        },
        head=head,
        base=base,
        rows=rows,
        notes=notes,
        conditions=conditions,
        rounds=state.rounds,
    )
    return document, interrupted


def _prepare_gate(
    request: RevisionRequest, checkout: Checkout, head: Revision, base: Revision, progress: Progress
) -> PreparedGate:
    """Lay out both revisions, choose the rows, verify the head, and run a trial round."""
    progress.stage(f"head: {head.title}; base: {base.title}; both of {checkout.root}")
    side_worktrees = preparation.lay_out(checkout, {"head": head, "base": base})
    everything = preparation.choose_rows(side_worktrees, request.cases, request.backends)
    unchanged = frozenset() if request.all_rows else _unchanged_rows(everything, head, base)
    choice = replace(everything, rows=tuple(row for row in everything.rows if row not in unchanged))
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice, {})
    progress.stage("verifying the head")
    seconds, head_failures = preparation.verify_side(side_worktrees["head"], plans, progress)
    shorter = preparation.shorten_rows(choice, seconds)
    if request.short_calls and shorter != choice:
        choice = shorter
        plans = preparation.plan_rows(choice, plans)
        shortened = {key: plan for key, plan in plans.items() if key not in seconds | head_failures}
        shortened_seconds, reasons = preparation.verify_side(side_worktrees["head"], shortened, progress)
        seconds |= shortened_seconds
        head_failures |= reasons
    wrong = {key: {"head": reason} for key, reason in head_failures.items() if key in plans}
    if (
        wrong
    ):  # what the base fails in the same way, such as under a setting of the environment, is no fault of the head
        _, base_failures = preparation.verify_side(side_worktrees["base"], {key: plans[key] for key in wrong}, progress)
        for key, reason in base_failures.items():
            wrong[key]["base"] = reason
    plans = {key: plan for key, plan in plans.items() if key in seconds}
    progress.stage("compiling the base in a trial round")
    failures = measurement_loop.run_trial_round({"base": side_worktrees["base"]}, plans).failures
    side_worktrees |= preparation.lay_out(checkout, {"control": base})
    progress.stage("compiling all sides in a trial round")
    remaining_plans = {key: plan for key, plan in plans.items() if key not in failures}
    trial = measurement_loop.run_trial_round(side_worktrees, remaining_plans)
    plans = {key: round_effort.with_loops(plan, seconds[key]) for key, plan in plans.items()}
    judged = tuple(row.key for row in choice.rows if row.key in plans)
    if unchanged:
        progress.stage(f"{counted(len(unchanged), 'row')} unchanged, {counted(len(judged), 'row')} to measure")
    unchanged_rows = [row for row in everything.rows if row in unchanged]
    notes = [*choice.notes, *_changed_pins(checkout, request.revision), _origins(checkout, side_worktrees)]
    if head.digest == base.digest:
        notes.append("Head and base have the same sources: this is an A/A comparison of two worktrees.")
    return PreparedGate(
        head=head,
        base=base,
        side_worktrees=side_worktrees,
        rows=tuple(sorted([*choice.rows, *unchanged_rows], key=lambda row: choice.cases.index(row.case))),
        unchanged=unchanged,
        task=GateTask(
            plans=plans,
            judged=judged,
            threshold=request.threshold,
            budget=request.budget,
            references=choice.reference_keys(),
            overhead=trial.overhead,
            libraries=trial.libraries,
        ),
        wrong={**wrong, **choice.wrong},
        failures={**failures, **trial.failures},
        notes=tuple(notes),
    )


def _unchanged_rows(choice: RowChoice, head: Revision, base: Revision) -> frozenset[BackendCase]:
    """The rows of backends whose sources are the same in both revisions, but for one backend, the A/A control.

    The control is measured at the cases of the other rows, or at the first case if there are no other rows. It is the
    reference if that is unchanged, because the reference is timed anyway.
    """
    names = dict.fromkeys(row.backend for row in choice.rows if row.key not in choice.wrong)
    same = [name for name in names if same_sources(f"{preparation.PACKAGE}.{name}", head, base)]
    same.sort(key=lambda name: name != REFERENCE)
    measured = dict.fromkeys(row.case for row in choice.rows if row.backend not in same) or choice.cases[:1]
    controls = {BackendCase(name, case) for name in same[:1] for case in measured}
    return frozenset(row for row in choice.rows if row.backend in same and row not in controls)


def _judged_rows(state: GateState, prepared: PreparedGate, end_reason: str) -> list[GateRow]:
    task = prepared.task
    return [
        gate_document.row_without_figures(row, "PASS", UNCHANGED)
        if row in prepared.unchanged
        else gate_document.revision_row(
            row,
            state,
            task,
            prepared.wrong.get(row.key) or state.failures.get(row.key, {}),
            end_reason,
        )
        for row in prepared.rows
    ]


def _origins(checkout: Checkout, side_worktrees: Mapping[str, Worktree]) -> str:
    folders = (f"{side} {worktree.path.relative_to(checkout.root)}" for side, worktree in side_worktrees.items())
    return f"Every process imports {preparation.PACKAGE} from the folder of its side alone, or its rows fail: " + (
        ", ".join(folders) + "."
    )


def _changed_pins(checkout: Checkout, revision: str) -> list[str]:
    return [
        f"The pinned version of {name} changes from {then or 'none'} to {now_pinned or 'none'}; both sides were "
        f"measured with the installed version, {machine.library_version(name) or 'none'}."
        for name, (then, now_pinned) in checkout.changed_pins(revision).items()
    ]
