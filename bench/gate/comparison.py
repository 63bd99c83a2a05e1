"""Measuring head against base, round after round, until every row has a verdict or the budget is spent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from random import Random
from statistics import median
from typing import Any

from bench.gate.rows import RowPlan
from bench.records.gate_schema import GateState, RoundRecord
from bench.selection import REFERENCE
from pairbench import rounds, sequential_test, timer
from pairbench.progress import Progress
from pairbench.rounds import ProcessDied
from pairbench.sequential_test import Judgement, RoundChange
from pairbench.worktrees import Worktree

MAX_DEATHS = 2
"""After so many deaths of a process at a row the row fails. One may be the work of somebody else."""
MAX_BLOCKS, MIN_BLOCKS = 30, 15
MIN_SLOW_BLOCKS = (3, 1)
"""Blocks of calls that are longer than a sample. Of three, the median leaves out one that was disturbed."""

Save = Callable[[GateState], None]


@dataclass(frozen=True)
class GateTask:
    """What is measured: all ``plans``, by row. The rows in ``judged`` get verdicts; the others are references.

    ``threshold`` is a share, ``budget`` is in seconds. ``overhead``: seconds of a round in which nothing is timed.
    """

    plans: Mapping[str, RowPlan]
    judged: tuple[str, ...]
    threshold: float
    budget: float
    overhead: float = 0.0


def plan_effort(task: GateTask, seconds: Mapping[str, float]) -> GateTask:
    """The task with loops and blocks, from seconds per call, such that the fewest rounds take 2/3 of the budget."""
    share = task.budget / (1.5 * sequential_test.MIN_ROUNDS) - task.overhead
    for min_blocks, blocks in product(MIN_SLOW_BLOCKS, range(MAX_BLOCKS, MIN_BLOCKS - 1, -1)):
        plans = {key: _with_effort(plan, seconds[key], blocks, min_blocks) for key, plan in task.plans.items()}
        if sum(plan.cost for plan in plans.values()) <= share:
            break
    return replace(task, plans=plans)


def min_seconds(task: GateTask) -> float:
    """Rough seconds that the fewest rounds take."""
    return sequential_test.MIN_ROUNDS * (task.overhead + sum(plan.cost for plan in task.plans.values()))


def _with_effort(plan: RowPlan, seconds: float, blocks: int, min_blocks: int) -> RowPlan:
    """The plan with so many blocks; where a call is longer than a sample, with as many as take the same time."""
    loops = timer.loops_per_sample(seconds)
    count = max(min_blocks, min(blocks, round(blocks * timer.SAMPLE_SECONDS / (loops * seconds))))
    cost = len(rounds.SIDES) * count * (1.1 * loops * seconds + rounds.TURN_SECONDS)
    return replace(plan, loops=loops, blocks=count, cost=cost)


def measure_until_decided(
    state: GateState, task: GateTask, trees: Mapping[str, Worktree], random: Random, progress: Progress, save: Save
) -> GateState:
    """Measure rounds until every row is decided or the budget is spent; ``save`` gets the state after each.

    A confirmation that has begun is measured to its first interim analysis, whatever the budget.
    """
    while wanted := _rows_to_measure(state, task):
        progress.stage(_title(state, task, wanted))
        start = time.monotonic()
        deaths, failures = state.deaths, state.failures
        try:
            result = rounds.measure_round(trees, [task.plans[key] for key in wanted], random)
        except ProcessDied as death:
            count = deaths.get(death.key, {}).get(death.side, 0) + 1
            deaths = _with(deaths, death.key, death.side, count)
            if count == MAX_DEATHS:
                failures = _with(failures, death.key, death.side, str(death))
            seconds: dict[str, dict[str, list[float]]] = {}
        else:
            for key, reasons in result.failures.items():
                for side, reason in reasons.items():
                    failures = _with(failures, key, side, reason)
            seconds = result.seconds
        record = RoundRecord(wall_seconds=time.monotonic() - start, seconds=seconds)
        state = state.model_copy(update={"rounds": [*state.rounds, record], "failures": failures, "deaths": deaths})
        save(state)
        progress.advance()
    return state


def round_changes(state: GateState, key: str) -> list[RoundChange]:
    """What each round says of a row."""
    return [round_change(times) for one in state.rounds if (times := one.seconds.get(key)) is not None]


def round_change(times: Mapping[str, Sequence[float]]) -> RoundChange:
    """What a round says of a row, from its times by side: medians over the blocks.

    The change is the mean of head ÷ base and head ÷ control. The head over the mean of their times would be biased: of
    times with a tail, one lies below the mean of two more often than above.
    """
    head, base, control = (list(map(math.log, times[side])) for side in rounds.SIDES)
    return RoundChange(
        change=(_median_difference(head, base) + _median_difference(head, control)) / 2,
        offset=_median_difference(control, base),
    )


def row_judgement(state: GateState, task: GateTask, key: str) -> Judgement:
    """The sequential test of a row by now."""
    return sequential_test.judge_rounds(round_changes(state, key), task.threshold, max(1, len(task.judged)))


def _median_difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return median(a - b for a, b in zip(ours, theirs, strict=True))


def _rows_to_measure(state: GateState, task: GateTask) -> list[str]:
    """Rows of the next round: those that are open and the references of their cases; none if the budget is spent."""
    spent = sum(one.wall_seconds for one in state.rounds)
    open_rows: dict[str, bool] = {}
    for key in task.judged:
        if key in state.failures:
            continue
        now = row_judgement(state, task, key)
        if not now.decided:
            confirming = now.confirming_rounds
            open_rows[key] = confirming is not None and confirming < sequential_test.MIN_ROUNDS
    wanted = _with_references(state, task, list(open_rows))
    if spent + task.overhead + sum(task.plans[key].cost for key in wanted) <= task.budget:
        return wanted
    return _with_references(state, task, [key for key, is_confirming in open_rows.items() if is_confirming])


def _with_references(state: GateState, task: GateTask, keys: Sequence[str]) -> list[str]:
    references = [task.plans[key].row.of(REFERENCE).key for key in keys]
    usable = (key for key in references if key in task.plans and key not in state.failures)
    return [*dict.fromkeys([*keys, *usable])]


def _title(state: GateState, task: GateTask, wanted: Sequence[str]) -> str:
    spent = sum(one.wall_seconds for one in state.rounds)
    rows = sum(key in task.judged for key in wanted)
    return f"round {len(state.rounds) + 1}, {rows} of {len(task.judged)} rows open, {spent:.0f} of {task.budget:g} s"


def _with(table: Mapping[str, Mapping[str, Any]], key: str, side: str, value: Any) -> dict[str, dict[str, Any]]:
    """The table, with this value for the row and the side."""
    return {**{one: dict(sides) for one, sides in table.items()}, key: {**table.get(key, {}), side: value}}
