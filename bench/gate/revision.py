"""``gate --against``: the working tree against a revision, from the sources to the state that holds every sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.cases import Case
from bench.gate import preparation
from bench.gate.comparison import GateTask, plan_effort
from pairbench import machine, worktrees
from pairbench.progress import Progress
from pairbench.rounds import BackendCase
from pairbench.worktrees import Revision


@dataclass(frozen=True)
class RevisionRequest:
    """What was asked for; ``threshold`` as a share, ``budget`` in seconds."""

    revision: str
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float


@dataclass(frozen=True)
class PreparedGate:
    """All that the measuring takes.

    ``rows`` get verdicts. ``wrong`` says what the proof found in the head, by row; ``failures`` what failed when it was
    tried out, by row and side. ``task`` has what is neither.
    """

    head: Revision
    base: Revision
    places: Mapping[str, Path]
    rows: tuple[BackendCase, ...]
    task: GateTask
    wrong: Mapping[str, str]
    failures: dict[str, dict[str, str]]
    notes: tuple[str, ...]

    def settings(self) -> dict[str, Any]:
        """What must be the same for an unfinished gate to go on: a JSON object."""
        return {
            "head": self.head.digest,
            "base": self.base.digest,
            "rows": [row.key for row in self.rows],
            "threshold": self.task.threshold,
            "machine": machine.bucket(machine.describe()),
        }


@dataclass(frozen=True)
class Sources:
    """The two revisions, and the folder of the working tree."""

    root: Path
    head: Revision
    base: Revision


def find_sources(revision: str) -> Sources:
    """The working tree and the revision. Raises TreeError."""
    root = worktrees.find_repository()
    return Sources(root, worktrees.working_tree(root), worktrees.read_revision(root, revision))


def prepare_gate(wanted: RevisionRequest, of: Sources, progress: Progress) -> PreparedGate:
    """Lay out both revisions, choose the rows, prove the head right, and try everything out once.

    Raises TreeError and ValueError for what cannot be compared.
    """
    root, head, base = of.root, of.head, of.base
    progress.stage(f"head: {head.title}; base: {base.title}")
    places = preparation.lay_out_revisions(root, head, base)
    choice = preparation.choose_rows(places, wanted.cases, wanted.backends)
    progress.stage("computing the exact results")
    plans = preparation.plan_rows(choice)
    progress.stage("proving the head right")
    seconds, wrong = preparation.verify_head(places["head"], plans, progress)
    wrong |= choice.wrong
    plans = {key: plan for key, plan in plans.items() if key in seconds}
    progress.stage("trying the base out")
    failures, _ = preparation.run_trial_round({"base": places["base"]}, plans)
    places = preparation.add_control(root, places, base)
    progress.stage("trying out a set that does not count")
    more, starting = preparation.run_trial_round(
        places, {key: plan for key, plan in plans.items() if key not in failures}
    )
    judged = tuple(row.key for row in choice.rows if row.key in plans)
    notes = [*choice.notes, *_pins(root, wanted.revision)]
    if head.digest == base.digest:
        notes.append("Head and base are the same sources: this is what the gate finds where nothing has changed.")
    return PreparedGate(
        head=head,
        base=base,
        places=places,
        rows=choice.rows,
        task=plan_effort(GateTask(plans, judged, wanted.threshold, wanted.budget, starting), seconds),
        wrong=wrong,
        failures={**failures, **more},
        notes=tuple(notes),
    )


def _pins(root: Path, revision: str) -> list[str]:
    return [
        f"The pinned version of {name} changes from {then or 'none'} to {now or 'none'}: both sides were measured with "
        f"{machine.library_version(name) or 'none'}, which is installed."
        for name, (then, now) in worktrees.changed_pins(root, revision).items()
    ]
