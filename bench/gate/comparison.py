"""Measuring head against base, set after set, until the verdicts are clear or the budget is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from bench.records.gate_schema import GateState, RoundRecord
from bench.selection import REFERENCE
from pairbench import rounds, sequential_test
from pairbench.progress import Progress
from pairbench.rounds import ProcessDied, RoundPlan
from pairbench.sequential_test import Judgement, RoundChange

MAX_DEATHS = 2
"""So many times a process may die at a row before that is held against the row: others may have killed it."""
MAX_BLOCKS, MIN_BLOCKS = 30, 15
MIN_CALLS = (3, 1)
"""Blocks of calls that take longer than a stretch: of three, one that was disturbed does not count."""

Keep = Callable[[GateState], None]


@dataclass(frozen=True)
class GateTask:
    """What is to be judged: rows with their plans; those of the reference that are only measured are not ``judged``."""

    plans: Mapping[str, RoundPlan]
    judged: tuple[str, ...]
    threshold: float
    budget: float
    starting: float = 0.0
    """Seconds that a set takes before it times anything."""


def plan_effort(task: GateTask, seconds: Mapping[str, float]) -> GateTask:
    """The task with loops and blocks such that the fewest sets take two thirds of the budget, from seconds per call."""
    share = task.budget / (1.5 * sequential_test.MIN_ROUNDS) - task.starting
    for fewest, blocks in product(MIN_CALLS, range(MAX_BLOCKS, MIN_BLOCKS - 1, -1)):
        plans = {key: _with_effort(plan, seconds[key], blocks, fewest) for key, plan in task.plans.items()}
        if sum(plan.cost for plan in plans.values()) <= share:
            break
    return replace(task, plans=plans)


def min_seconds(task: GateTask) -> float:
    """What the fewest sets take, roughly."""
    return sequential_test.MIN_ROUNDS * (task.starting + sum(plan.cost for plan in task.plans.values()))


def _with_effort(plan: RoundPlan, seconds: float, blocks: int, fewest: int) -> RoundPlan:
    """The plan with so many blocks, or with those that take the same time where a call takes longer than a stretch."""
    loops = max(1, round(rounds.SAMPLE_SECONDS / seconds))
    count = max(fewest, min(blocks, round(blocks * rounds.SAMPLE_SECONDS / (loops * seconds))))
    return replace(
        plan, loops=loops, blocks=count, cost=len(rounds.SIDES) * count * (1.1 * loops * seconds + rounds.TURN_SECONDS)
    )


def measure_until_decided(
    state: GateState, task: GateTask, trees: Mapping[str, Path], random: Random, progress: Progress, keep: Keep
) -> GateState:
    """Measure sets until every row is decided or the budget is spent; ``keep`` gets the state after each.

    A confirmation that has begun is measured to its first look, whatever the budget.
    """
    while wanted := _wanted(state, task):
        progress.stage(_title(state, task, wanted))
        start = time.monotonic()
        deaths, failures = state.deaths, state.failures
        try:
            outcomes = rounds.measure_round(trees, [task.plans[key] for key in wanted], random)
        except ProcessDied as death:
            count = deaths.get(death.key, {}).get(death.side, 0) + 1
            deaths = _with(deaths, death.key, death.side, count)
            if count == MAX_DEATHS:
                failures = _with(failures, death.key, death.side, str(death))
            seconds: dict[str, dict[str, list[float]]] = {}
        else:
            for key, reasons in outcomes.failures.items():
                for side, reason in reasons.items():
                    failures = _with(failures, key, side, reason)
            seconds = outcomes.seconds
        one = RoundRecord(wall_seconds=time.monotonic() - start, seconds=seconds)
        state = state.model_copy(update={"sets": [*state.sets, one], "failures": failures, "deaths": deaths})
        keep(state)
        progress.advance()
    return state


def round_changes(state: GateState, key: str) -> list[RoundChange]:
    """What each set says of a row."""
    return [round_change(times) for one in state.sets if (times := one.seconds.get(key)) is not None]


def round_change(times: Mapping[str, Sequence[float]]) -> RoundChange:
    """What a set says of a row, from its times by side: medians over the blocks.

    The head is held to the base and to the base again, and the mean of both is the change. To hold it to the mean of
    their times would favour it: where times have a tail, one time lies below the mean of two more often than above.
    """
    head, base, again = (list(map(math.log, times[side])) for side in rounds.SIDES)
    return RoundChange(
        change=(_median(head, base) + _median(head, again)) / 2,
        offset=_median(again, base),
    )


def _median(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median(a - b for a, b in zip(ours, theirs, strict=True))


def row_judgement(state: GateState, task: GateTask, key: str) -> Judgement:
    """The rule's judgement of a row by now."""
    return sequential_test.judge_rounds(round_changes(state, key), task.threshold, max(1, len(task.judged)))


def _wanted(state: GateState, task: GateTask) -> list[str]:
    """Rows for the next set: those that are open, with the references of their cases; none if the budget is spent."""
    spent = sum(one.wall_seconds for one in state.sets)
    open_rows: dict[str, bool] = {}
    for key in task.judged:
        if key in state.failures:
            continue
        now = row_judgement(state, task, key)
        if not now.decided:
            open_rows[key] = now.confirming is not None and now.confirming < sequential_test.MIN_ROUNDS
    wanted = _with_references(state, task, list(open_rows))
    if spent + task.starting + sum(task.plans[key].cost for key in wanted) <= task.budget:
        return wanted
    return _with_references(state, task, [key for key, confirming in open_rows.items() if confirming])


def _with_references(state: GateState, task: GateTask, keys: Sequence[str]) -> list[str]:
    beside = [task.plans[key].row.of(REFERENCE).key for key in keys]
    return [*dict.fromkeys([*keys, *(key for key in beside if key in task.plans and key not in state.failures)])]


def _title(state: GateState, task: GateTask, wanted: Sequence[str]) -> str:
    spent = sum(one.wall_seconds for one in state.sets)
    rows = sum(key in task.judged for key in wanted)
    return f"set {len(state.sets) + 1}, {rows} of {len(task.judged)} rows open, {spent:.0f} of {task.budget:g} s"


def _with(table: Mapping[str, Mapping[str, Any]], key: str, side: str, value: Any) -> dict[str, dict[str, Any]]:
    """The table, with this value for the row and the side."""
    return {**{one: dict(sides) for one, sides in table.items()}, key: {**table.get(key, {}), side: value}}
