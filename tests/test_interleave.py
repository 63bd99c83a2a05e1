"""Interleaving: the order of the arms, the number of samples of each, and the calls that are made."""

import gc
import time
from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arms import Arm
from bench.cases import Case
from impls import Network
from pairbench import interleave, timer
from pairbench.workload import TimedCall
from tests.helpers import TINY

FORWARD = Case(Network((3, 3, 1)), "forward", 1)


@given(st.integers(1, 9), st.integers(0, 100))
def test_orders_are_balanced(arms, seed):
    sequence = interleave.balanced_orders(arms, Random(seed))
    square = [next(sequence) for _ in range(2 * arms)]
    assert all(sorted(order) == list(range(arms)) for order in square)
    places = Counter((arm, place) for order in square for place, arm in enumerate(order))
    assert set(places.values()) == {2}
    for forth, back in zip(square[::2], square[1::2], strict=True):
        assert forth == back[::-1]


def test_orders_differ_from_square_to_square():
    sequence = interleave.balanced_orders(7, Random(0))
    squares = [tuple(tuple(next(sequence)) for _ in range(14)) for _ in range(3)]
    assert len(set(squares)) == 3


@given(st.integers(1, 40), st.data())
def test_a_slow_arm_is_timed_in_evenly_spaced_blocks(total, data):
    count = data.draw(st.integers(1, total))
    present = [block for block in range(total) if interleave.takes_part(block, count, total)]
    assert len(present) == count
    gaps = {b - a for a, b in pairwise(present)}
    assert max(gaps, default=0) - min(gaps, default=0) <= 1


@given(st.lists(st.floats(1e-7, 10), min_size=1, max_size=6))
def test_plans_fill_a_sample_and_keep_to_the_budget(seconds):
    arms = [Arm(str(index), "python_loops", FORWARD) for index in range(len(seconds))]
    call = TimedCall(abs, lambda seed, count: [(0,)] * count)
    plans = interleave.plan_arms(dict.fromkeys(arms, call), dict(zip(arms, seconds, strict=True)), TINY)
    for plan, duration in zip(plans, seconds, strict=True):
        assert plan.loops == 1 or plan.loops * duration <= 1.5 * timer.SAMPLE_SECONDS
        assert 1 <= plan.blocks <= plans[0].blocks
        assert plan.blocks == 1 or plan.blocks * plan.loops * duration <= TINY.seconds_per_arm


def test_every_planned_call_is_made_without_garbage_collection():
    calls = []

    def function(name):
        calls.append((name, gc.isenabled()))

    def draw_for(name):
        return lambda seed, count: [(name,)] * count

    arms = [Arm(name, "python_loops", FORWARD) for name in "ab"]
    plans = [
        interleave.ArmPlan(arm, TimedCall(function, draw_for(arm.name)), loops, count)
        for arm, loops, count in zip(arms, (3, 1), (4, 2), strict=True)
    ]
    timed = interleave.time_interleaved(plans, Random(0))
    samples = {arm: timed[arm].samples for arm in arms}
    assert gc.isenabled()
    # Arm a has several calls per sample, so two more calls precede each sample. Arm b has one.
    assert Counter(calls) == {("a", False): 4 * (3 + 2), ("b", False): 2}
    assert [sample.block for sample in samples[arms[0]]] == [0, 1, 2, 3]
    assert [sample.block for sample in samples[arms[1]]] == [1, 3]
    assert all(sample.seconds > 0 for taken in samples.values() for sample in taken)


def test_a_sample_gives_the_time_of_one_call():
    # There is no upper limit, because a sleep may last longer than requested.
    assert timer.time_calls(time.sleep, [(0.002,)] * 3)[0] >= 0.002


def test_an_estimate_ignores_the_first_call():
    waits = iter([0.5])
    assert timer.estimate_seconds(lambda: time.sleep(next(waits, 0.002)), lambda count: [()] * count) < 0.5


def test_an_interruption_of_the_timed_call_does_not_count():
    waits = iter([0, 0.01])  # the untimed call, and the first timed one
    estimate = timer.estimate_seconds(lambda: time.sleep(next(waits, 1e-5)), lambda count: [()] * count)
    assert estimate < 0.005


def test_a_clock_that_stands_still_ends_the_estimate(monkeypatch):
    monkeypatch.setattr(timer, "time_calls", lambda function, arguments: (0.0, None))
    with pytest.raises(RuntimeError, match="the clock does not advance"):
        timer.estimate_seconds(abs, lambda count: [(0,)] * count)
