"""The gate for functions: measures the working tree's functions against those of a revision, and gives verdicts.

Arguments are made once, by the head, and sent to all sides, so that all compute the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any

from pairbench import (
    function_rows,
    measurement_loop,
    project_trees,
    results_check,
    round_effort,
    round_processes,
    rounds,
    timer,
)
from pairbench.function_rows import GateReport
from pairbench.function_workload import (
    MOST_LOOPS_WITH_COPIES,
    Examination,
    FunctionName,
    FunctionWorkload,
    examine,
    make_arguments,
    pickle_arguments,
)
from pairbench.gate_protocol import CallFunction, Failure
from pairbench.machine import Meter
from pairbench.measurement_loop import GateTask, RoundOutcome
from pairbench.progress import Progress
from pairbench.project_trees import ProjectTree
from pairbench.results_check import RepeatJudge
from pairbench.round_processes import ProcessDied
from pairbench.rounds import SIDES, RoundPlan
from pairbench.worktrees import Checkout, remove_stale


@dataclass(frozen=True)
class Candidate:
    """A function to measure. ``key`` names its row; ``arguments`` are pickled, None for those of the set-up."""

    key: str
    name: FunctionName
    arguments: bytes | None = None


@dataclass(frozen=True)
class FunctionGateRequest:
    """What to measure. ``revision``: the base. ``threshold`` is a share, ``budget`` is in seconds.

    ``setup``: the function that makes the arguments of candidates that have none; without it they are called without
    arguments. ``build``: the command that installs a worktree, None to import the sources.
    """

    revision: str
    candidates: Sequence[Candidate]
    threshold: float
    budget: float
    setup: FunctionName | None = None
    build: str | None = None


@dataclass(frozen=True)
class GateState:
    """The rounds so far; see ``measurement_loop.LoopState``."""

    failures: Mapping[str, Mapping[str, str]]
    rounds: Sequence[Round] = ()
    deaths: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def after_round(self, outcome: RoundOutcome) -> GateState:
        """The state with one round more."""
        return GateState(outcome.failures, [*self.rounds, Round(outcome.wall_seconds, outcome.seconds)], outcome.deaths)


@dataclass(frozen=True)
class Round:
    """A round: its duration, and its times by row and side."""

    wall_seconds: float
    seconds: Mapping[str, Mapping[str, Sequence[float]]]


def judge_functions(request: FunctionGateRequest, progress: Progress) -> tuple[GateReport, bool]:
    """The gate's report, and whether the measurement was interrupted, in which case it has the rounds until then.

    Raises ValueError if the functions cannot be compared: WorktreeError, ForeignSource, and others in one line.
    """
    started, meter = datetime.now().astimezone().isoformat(timespec="seconds"), Meter.start()
    checkout = Checkout.find()
    revisions = {"head": checkout.working_tree(), "base": checkout.revision(request.revision)}
    revisions["control"] = revisions["base"]
    progress.stage(f"head: {revisions['head'].title}; base: {revisions['base'].title}; both of {checkout.root}")
    names = list(dict.fromkeys(candidate.name for candidate in request.candidates))
    _require_own(checkout, names, revisions["head"].files, request.build)
    imported = [*names, *filter(None, [request.setup])]
    remove_stale(checkout.root / project_trees.STORE)
    trees = {}
    for side, revision in revisions.items():
        if request.build is not None:
            progress.stage(f"building the {side}")
        trees[side] = project_trees.lay_out(checkout, revision, side, imported, request.build)
    workloads = _workloads(request, trees["head"])
    examined = {}
    for side, tree in trees.items():
        progress.stage(f"calling the functions of the {side}")
        examined[side] = _examine(tree, workloads)
        if side == "head":
            _require_functions(examined[side])
    plans, failures = _plans(workloads, examined)
    progress.stage("compiling all sides in a trial round")
    trial = measurement_loop.run_trial_round(trees, plans)
    plans = {key: round_effort.with_loops(plan, _seconds_per_call(key, examined)) for key, plan in plans.items()}
    task = GateTask(
        plans=plans,
        judged=tuple(plans),
        threshold=request.threshold,
        budget=request.budget,
        references={key: key for key in plans},
        overhead=trial.overhead,
        libraries=trial.libraries,
    )
    state, interrupted = _measure(GateState({**failures, **trial.failures}), task, trees, progress)
    return (
        function_rows.report(
            started=started,
            options={
                "against": request.revision,
                "threshold": request.threshold,
                "budget": request.budget,
                "setup": None if request.setup is None else str(request.setup),
                "build": request.build,
                "checkout": str(checkout.root),
            },
            revisions=revisions,
            rows=[
                function_rows.judged_row(
                    candidate.key,
                    candidate.name,
                    {side: examination[candidate.key] for side, examination in examined.items()},
                    state,
                    task,
                    "the measurement was interrupted" if interrupted else "the budget ended",
                )
                for candidate in request.candidates
            ],
            conditions=meter.read(),
            rounds=len(state.rounds),
        ),
        interrupted,
    )


def _measure(
    state: GateState, task: GateTask, trees: Mapping[str, ProjectTree], progress: Progress
) -> tuple[GateState, bool]:
    """The state when all rows are decided or the budget is spent, and whether the measurement was interrupted."""
    latest = state

    def keep(new: GateState) -> None:
        nonlocal latest
        latest = new

    try:
        random = Random(secrets.randbits(32))
        return measurement_loop.measure_until_decided(state, task, trees, random, progress, keep), False
    except KeyboardInterrupt:
        return latest, True


def _require_own(
    checkout: Checkout, names: Sequence[FunctionName], files: Mapping[str, bytes], build: str | None
) -> None:
    """Raise ForeignSource if a function's module is not among the sources of the head."""
    for name in names:
        if build is None and project_trees.import_folder(name.module, files) is None:
            raise project_trees.ForeignSource(
                f"{checkout.root} has no source of the module {name.module}, so both sides would be measured with the "
                f"same installed code; name a function of the project, or {project_trees.HOW_TO_BUILD}"
            )


def _workloads(request: FunctionGateRequest, head: ProjectTree) -> dict[str, FunctionWorkload]:
    """The workloads by row. Raises ValueError if the set-up fails."""
    made = pickle_arguments((), {}, "no arguments")
    if request.setup is not None:
        key = str(request.setup)
        answer = _ask(head, {key: CallFunction(make_arguments, (request.setup,))})[key]
        if isinstance(answer, Failure):
            raise ValueError(f"the set-up fails: {answer.reason}")
        made = answer
    return {
        candidate.key: FunctionWorkload(candidate.name, made if candidate.arguments is None else candidate.arguments)
        for candidate in request.candidates
    }


def _examine(tree: ProjectTree, workloads: Mapping[str, FunctionWorkload]) -> dict[str, Examination]:
    """A first look at each function. Raises ForeignSource if a module comes from outside the tree."""
    answers = _ask(tree, {key: CallFunction(examine, (workload,)) for key, workload in workloads.items()})
    examined = {}
    for key, answer in answers.items():
        examined[key] = Examination(failure=answer.reason) if isinstance(answer, Failure) else answer
        tree.check_origins(examined[key].files)
    return examined


def _ask(tree: ProjectTree, requests: Mapping[str, CallFunction]) -> dict[str, Any]:
    """The answers of a fresh process; if it dies or hangs, another one answers the remaining requests."""
    answers: dict[str, Any] = {}
    while left := [key for key in requests if key not in answers]:
        with round_processes.open_processes({tree.side: tree}, Random(0)) as processes:
            for key in left:
                try:
                    answers[key] = processes.ask(key, tree.side, requests[key], rounds.CALL_TIMEOUT)
                except ProcessDied as death:
                    answers[key] = Failure(str(death))
                    break
    return answers


def _require_functions(examined: Mapping[str, Examination]) -> None:
    """Raise ValueError if the head lacks a function."""
    for examination in examined.values():
        if examination.missing:
            raise ValueError(f"the head lacks a function: {examination.missing}")


def _plans(
    workloads: Mapping[str, FunctionWorkload], examined: Mapping[str, Mapping[str, Examination]]
) -> tuple[dict[str, RoundPlan], dict[str, dict[str, str]]]:
    """The plans of the functions that all sides have and that fail on none, and the reasons of failures by side."""
    plans: dict[str, RoundPlan] = {}
    failures: dict[str, dict[str, str]] = {}
    for key, workload in workloads.items():
        by_side = {side: examined[side][key] for side in SIDES}
        found = list(by_side.values())
        if any(one.failure for one in found):
            failures[key] = {side: one.failure for side, one in by_side.items() if one.failure}
        elif not any(one.missing for one in found):
            changes = any(one.changes_arguments for one in found)
            expected = [result for one in found for result in one.results]
            repeats = all(not results_check.difference(*one.results) for one in found)
            plans[key] = RoundPlan(
                key=key,
                workload=replace(workload, changes_arguments=changes),
                judge=RepeatJudge(expected if repeats else ()),
            )
    return plans, failures


def _seconds_per_call(key: str, examined: Mapping[str, Mapping[str, Examination]]) -> float:
    """Rough seconds per call, the longest of all sides.

    For a function that changes its arguments, they are so many that a sample needs no more copies than there may be.
    """
    found = [examined[side][key] for side in SIDES]
    seconds = max(one.seconds for one in found)
    if any(one.changes_arguments for one in found):
        return max(seconds, timer.SAMPLE_SECONDS / MOST_LOOPS_WITH_COPIES)
    return seconds
