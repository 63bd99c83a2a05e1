"""The measurement loop of the gate: how many blocks each round takes, also after an interruption."""

import math
from collections import Counter
from dataclasses import replace
from random import Random
from statistics import median

import pytest

from pairbench import round_effort, rounds, timer
from pairbench.function_gate import GateState, Round
from pairbench.measurement_loop import GateTask, measure_until_decided
from pairbench.progress import NoProgress
from pairbench.rounds import SIDES, RoundPlan, RoundResult
from pairbench.sequential_test import PASS_ROUNDS

THRESHOLD = 0.05
KEYS = ("quiet", "noisy")
NOISE = {"quiet": 0.04, "noisy": 0.12}
CALL_SECONDS = 1e-6


@pytest.fixture
def measured(monkeypatch):
    """Rounds with drawn times instead of processes. The list gets, for each round, the blocks and the times by row."""
    random, so_far = Random(1), []

    def measure_round(trees, plans, _random, _libraries):
        blocks = {plan.key: plan.blocks for plan in plans}
        seconds = {key: drawn_times(key, count, random) for key, count in blocks.items()}
        so_far.append((blocks, seconds))
        return RoundResult(seconds=seconds, failures={})

    monkeypatch.setattr(rounds, "measure_round", measure_round)
    return so_far


def drawn_times(key, count, random):
    return {side: [CALL_SECONDS * math.exp(random.gauss(0, NOISE[key])) for _ in range(count)] for side in SIDES}


def plan(key):
    return RoundPlan(
        key=key,
        workload=None,
        judge=None,
        loops=round(timer.SAMPLE_SECONDS / CALL_SECONDS),
        call_seconds=CALL_SECONDS,
    )


def measure(state, save, budget=1e6, judged=KEYS, references=None, progress=None):
    task = GateTask(
        plans={key: plan(key) for key in KEYS},
        judged=judged,
        threshold=THRESHOLD,
        budget=budget,
        references=references or {key: key for key in KEYS},
    )
    return measure_until_decided(state, task, {}, Random(0), progress or NoProgress(), save)


def expected_blocks(key, earlier):
    """By definition: the noise is the median of those of the earlier rounds, of which the share is known."""
    times = [seconds[key] for _, seconds in earlier if key in seconds]
    noise = median(map(round_effort.block_noise, times)) if times else round_effort.USUAL_NOISE
    return min(120, max(round_effort.MIN_BLOCKS, math.ceil((noise / (round_effort.NOISE_SHARE * THRESHOLD)) ** 2)))


def test_the_blocks_of_a_round_follow_from_the_noise_of_all_rounds_before_it(measured):
    state = measure(GateState({}), lambda state: None)
    assert len(state.rounds) == len(measured) > 3
    for number, (blocks, _) in enumerate(measured):
        assert blocks == {key: expected_blocks(key, measured[:number]) for key in blocks}
    assert measured[-1][0].get("noisy", 120) > 15


def test_rows_that_are_decided_leave_their_time_to_the_others(measured, monkeypatch):
    monkeypatch.setitem(NOISE, "noisy", 0.4)  # for which no number of blocks suffices
    block = round_effort.timing_seconds([replace(plan("noisy"), blocks=1)])
    measure(GateState({}), lambda state: None, budget=PASS_ROUNDS * 2 * 20.01 * block / 0.33)
    both = [blocks["noisy"] for blocks, _ in measured if len(blocks) == 2]
    alone = [blocks["noisy"] for blocks, _ in measured if list(blocks) == ["noisy"]]
    assert set(both[1:]) == {20}
    assert set(alone) == {40}


def test_a_reference_takes_the_fewest_blocks(measured):
    measure(GateState({}), lambda state: None, judged=("quiet",), references={"quiet": "noisy"})
    assert {blocks["noisy"] for blocks, _ in measured} == {round_effort.MIN_BLOCKS}


def test_the_progress_tells_when_the_budget_does_not_suffice_for_a_pass(measured):
    def first_title(budget):
        titles, progress = [], NoProgress()
        progress.stage = titles.append
        state = GateState({}, [Round(2.0, {key: drawn_times(key, 9, Random(3)) for key in KEYS})])
        measure(state, lambda state: None, budget=budget, progress=progress)
        return titles[0]

    assert first_title(30.0).startswith("round 2, 2 of 2 rows open, 2 of 30 s; the 19 rounds of a PASS take about ")
    assert first_title(100.0) == "round 2, 2 of 2 rows open, 2 of 100 s"


def test_a_round_in_which_a_process_hung_is_not_taken_for_the_time_of_the_next_one(measured):
    hung = GateState({}, [Round(60.0, {})])
    assert len(measure(hung, lambda state: None, budget=100.0).rounds) > 3


def test_a_resumed_measurement_knows_the_noise_of_the_rounds_before_the_interruption(measured):
    def interrupt(state):
        if len(state.rounds) == 2:
            states.append(state)
            raise KeyboardInterrupt

    states = []
    with pytest.raises(KeyboardInterrupt):
        measure(GateState({}), interrupt)
    measure(states[0], lambda state: None)
    assert measured[2][0] == {key: expected_blocks(key, measured[:2]) for key in measured[2][0]}


def test_the_noise_of_a_round_is_computed_once(measured, monkeypatch):
    calls, compute = Counter(), round_effort.block_noise

    def counting(times):
        calls[id(times)] += 1
        return compute(times)

    monkeypatch.setattr(round_effort, "block_noise", counting)
    measure(GateState({}), lambda state: None)
    assert {*calls.values()} == {1}
    assert len(calls) == sum(len(seconds) for _, seconds in measured)
