"""Measures head against base, round after round, until every row has a verdict or the budget is spent."""

from __future__ import annotations

__all__ = [
    "GateTask",
    "LoopState",
    "MeasuredRound",
    "RoundOutcome",
    "measure_until_decided",
    "round_change",
    "round_changes",
    "row_judgement",
    "run_trial_round",
    "side_seconds",
]

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean, median
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from pairbench import round_effort, round_processes, rounds, sequential_test
from pairbench.forked_processes import ForkServers
from pairbench.progress import Progress
from pairbench.round_processes import ProcessDied, SourceTree
from pairbench.rounds import RoundPlan
from pairbench.sequential_test import Judgement, RoundChange
from pairbench.wording import counted

MAX_DEATHS = 2
"""Number of process deaths after which a row fails. A single death may have a cause outside the backend."""

OVERHEAD_ROUNDS = 4
"""Last rounds that tell the time of the next. Only some of them wait for a fork server."""

Seconds = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds per call of a round, by row and side, in the order of the blocks."""


class MeasuredRound(Protocol):
    """One round. A round in which a process died has no times."""

    @property
    def wall_seconds(self) -> float:
        """How long the round took."""

    @property
    def seconds(self) -> Seconds:
        """The times by row and side."""


@dataclass(frozen=True)
class RoundOutcome:
    """What the state is told after a round: the round's duration and times, and all failures and deaths so far.

    The times are in seconds per call, by row and side; there are none if a process died.
    """

    wall_seconds: float
    seconds: dict[str, dict[str, list[float]]]
    failures: Mapping[str, Mapping[str, str]]
    deaths: Mapping[str, Mapping[str, int]]


class LoopState(Protocol):
    """The rounds so far, and by row and side the reason of a failure and the count of process deaths."""

    @property
    def rounds(self) -> Sequence[MeasuredRound]:
        """The rounds, in the order in which they were measured."""

    @property
    def failures(self) -> Mapping[str, Mapping[str, str]]:
        """Reasons of failures; a row that fails is measured no more."""

    @property
    def deaths(self) -> Mapping[str, Mapping[str, int]]:
        """Counts of process deaths."""

    def after_round(self, outcome: RoundOutcome) -> Self:
        """The state with one round more."""


State = TypeVar("State", bound=LoopState)


@dataclass(frozen=True)
class GateTask:
    """The rows to measure: ``plans``, by row. The rows in ``judged`` get verdicts; the others are references.

    ``threshold`` is a share, ``budget`` is in seconds. ``references`` has, by row, the reference's row, which is timed
    in the same rounds. ``overhead`` and ``libraries`` are those of the trial round.
    """

    plans: Mapping[str, RoundPlan]
    judged: tuple[str, ...]
    threshold: float
    budget: float
    references: Mapping[str, str]
    overhead: float = 0.0
    libraries: tuple[str, ...] = ()


class TrialRound(NamedTuple):
    """What a trial round tells: the reasons of failures, by row and side, and about the rounds that follow.

    ``overhead``: seconds that were not spent on timing. ``libraries``: modules to import before processes are forked.
    """

    failures: dict[str, dict[str, str]]
    overhead: float = 0.0
    libraries: tuple[str, ...] = ()


def run_trial_round(trees: Mapping[str, SourceTree], plans: Mapping[str, RoundPlan]) -> TrialRound:
    """Measure a round whose times are not used, so that all code is compiled before the rounds that count."""
    failures: dict[str, dict[str, str]] = {}
    while open_plans := [plan for key, plan in plans.items() if key not in failures]:
        start = time.monotonic()
        try:
            result = rounds.measure_trial_round(trees, open_plans, Random(0))
        except ProcessDied as death:
            failures[death.key] = {death.side: str(death)}
            continue
        timed = sum(sum(map(sum, times.values())) for times in result.seconds.values())
        overhead = max(0.0, time.monotonic() - start - timed)
        return TrialRound({**failures, **result.failures}, overhead, tuple(result.libraries))
    return TrialRound(failures)


def measure_until_decided(
    state: State,
    task: GateTask,
    trees: Mapping[str, SourceTree],
    random: Random,
    progress: Progress,
    save: Callable[[State], None],
) -> State:
    """Measure rounds until every row is decided or the budget is spent; ``save`` is called with each new state.

    A confirmation that has begun continues to its first interim analysis, even beyond the budget.
    """
    noise: defaultdict[str, list[float]] = defaultdict(list)  # of a block in each round so far, by row
    for record in state.rounds:
        _note_noise(noise, record.seconds)
    with round_processes.fork_servers(trees, task.libraries) as servers:
        while plans := _plans_to_measure(state, task, noise):
            progress.stage(_title(state, task, plans))
            outcome = _measure_round(state, trees, plans, random, servers)
            state = state.after_round(outcome)
            _note_noise(noise, outcome.seconds)
            save(state)
            progress.advance()
    return state


def _measure_round(
    state: LoopState,
    trees: Mapping[str, SourceTree],
    plans: Sequence[RoundPlan],
    random: Random,
    servers: ForkServers,
) -> RoundOutcome:
    start = time.monotonic()
    try:
        result = rounds.measure_round(trees, plans, random, servers)
    except ProcessDied as death:
        return _after_death(state, death, time.monotonic() - start)
    failures = state.failures
    for key, reasons in result.failures.items():
        for side, reason in reasons.items():
            failures = _with(failures, key, side, reason)
    return RoundOutcome(time.monotonic() - start, result.seconds, failures, state.deaths)


def _after_death(state: LoopState, death: ProcessDied, wall_seconds: float) -> RoundOutcome:
    """The outcome of a round in which a process died: no times, and a failure if it was not the row's first death."""
    count = state.deaths.get(death.key, {}).get(death.side, 0) + 1
    deaths, failures = _with(state.deaths, death.key, death.side, count), state.failures
    if count == MAX_DEATHS:
        failures = _with(failures, death.key, death.side, str(death))
    return RoundOutcome(wall_seconds, {}, failures, deaths)


def round_changes(state: LoopState, key: str) -> list[RoundChange]:
    """The change that each round measured for a row."""
    return [round_change(times) for record in state.rounds if (times := record.seconds.get(key)) is not None]


def round_change(times: Mapping[str, Sequence[float]]) -> RoundChange:
    """The change that a round measured for a row, from the row's times by side; medians over the blocks.

    The head is compared with base and control one by one. Its ratio to the mean of both would be biased: in a skewed
    distribution, a single time is more often below the mean of two than above.
    """
    head, base, control = (list(map(math.log, times[side])) for side in rounds.SIDES)
    return RoundChange(
        to_base=_median_difference(head, base),
        to_control=_median_difference(head, control),
        offset=_median_difference(control, base),
    )


def row_judgement(state: LoopState, task: GateTask, key: str) -> Judgement:
    """The sequential test of a row, from the rounds so far."""
    return sequential_test.judge_rounds(round_changes(state, key), task.threshold, max(1, len(task.judged)))


def side_seconds(times: Sequence[Mapping[str, Sequence[float]]], sides: Sequence[str]) -> float | None:
    """Seconds per call of some sides: the median over the rounds, whose times these are; None without rounds."""
    medians = [fmean(median(by_side[side]) for side in sides) for by_side in times]
    return median(medians) if medians else None


def _median_difference(minuends: Sequence[float], subtrahends: Sequence[float]) -> float:
    return median(a - b for a, b in zip(minuends, subtrahends, strict=True))


def _plans_to_measure(state: LoopState, task: GateTask, noise: Mapping[str, Sequence[float]]) -> list[RoundPlan]:
    """Plans of the next round: undecided rows and the references at their cases; none if the budget is spent.

    The number of blocks follows from ``noise``, by row: that of a block in each round so far.
    """
    is_confirming: dict[str, bool] = {}  # by undecided row
    for key in task.judged:
        if key in state.failures:
            continue
        judgement = row_judgement(state, task, key)
        if not judgement.decided:
            is_confirming[key] = judgement.is_confirming
    plans = _with_blocks(state, task, list(is_confirming), noise)
    spent = sum(record.wall_seconds for record in state.rounds)
    if spent + _overhead(state, task) + round_effort.timing_seconds(plans) <= task.budget:
        return plans
    confirming = [key for key, is_open in is_confirming.items() if is_open]
    return _with_blocks(state, task, confirming, noise)


def _with_blocks(
    state: LoopState, task: GateTask, keys: Sequence[str], noise: Mapping[str, Sequence[float]]
) -> list[RoundPlan]:
    """Plans of these rows and of their references, with numbers of blocks."""
    others = {task.references[key] for key in keys} - {*keys, *state.failures}
    references = [round_effort.with_fewest_blocks(plan) for key, plan in task.plans.items() if key in others]
    overhead = _overhead(state, task) + round_effort.timing_seconds(references)
    plans = [task.plans[key] for key in keys]
    effort = round_effort.choose_effort(plans, task.budget, overhead)
    usual = [round_effort.USUAL_NOISE]
    return [
        *(round_effort.with_blocks(plan, effort, task.threshold, median(noise.get(plan.key, usual))) for plan in plans),
        *references,
    ]


def _overhead(state: LoopState, task: GateTask) -> float:
    """Seconds of a round that are not spent on timing: the mean of the last rounds; at first, those of the trial round.

    Rounds without times do not count: in them a process died, or hung for a minute.
    """
    timed = [record for record in state.rounds if record.seconds]
    if not timed:
        return task.overhead
    return fmean(_overhead_of(record, task) for record in timed[-OVERHEAD_ROUNDS:])


def _overhead_of(record: MeasuredRound, task: GateTask) -> float:
    plans = [replace(task.plans[key], blocks=len(next(iter(times.values())))) for key, times in record.seconds.items()]
    return max(0.0, record.wall_seconds - round_effort.timing_seconds(plans))


def _note_noise(noise: defaultdict[str, list[float]], seconds: Seconds) -> None:
    """Add the noise of a block in a round, whose times are given, for each row."""
    for key, times in seconds.items():
        noise[key].append(round_effort.block_noise(times))


def _title(state: LoopState, task: GateTask, plans: Sequence[RoundPlan]) -> str:
    spent = sum(record.wall_seconds for record in state.rounds)
    open_rows = f"{sum(plan.key in task.judged for plan in plans)} of {counted(len(task.judged), 'row')} open"
    judgements = (row_judgement(state, task, key) for key in task.judged)
    verdicts = Counter(judgement.verdict for judgement in judgements if judgement.decided)
    so_far = "".join(f", {count} {verdict}" for verdict, count in verdicts.items())
    title = f"round {len(state.rounds) + 1}, {open_rows}{so_far}, {spent:.0f} of {task.budget:g} s"
    missing = sequential_test.PASS_ROUNDS - len(state.rounds)
    needed = spent + missing * (_overhead(state, task) + round_effort.timing_seconds(plans))
    if not state.rounds or missing <= 0 or needed <= task.budget:
        return title
    return f"{title}; the {sequential_test.PASS_ROUNDS} rounds of a PASS take about {needed:.0f} s"


def _with(table: Mapping[str, Mapping[str, Any]], key: str, side: str, value: Any) -> dict[str, dict[str, Any]]:
    """A copy of the table with this value for the row and the side."""
    return {**{row: dict(sides) for row, sides in table.items()}, key: {**table.get(key, {}), side: value}}
