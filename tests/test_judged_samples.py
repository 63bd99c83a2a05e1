"""Samples with judged calls: the plan, the calls that are made, the loop's own time, the two clocks, caches."""

import math
import sys
import time
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pairbench import cache_check, clock_check, judged_samples, timer
from pairbench.clock_check import ClockReading
from pairbench.judged_samples import PreparedSample
from pairbench.workload import POOL, OtherObject, SamplePlan, TimedCall, WorkloadError


def draw(seed, count):
    random = np.random.default_rng(seed)
    return [(random.normal(size=3),) for _ in range(count)]


@given(st.integers(1, 30), st.integers(1, 300), st.booleans(), st.integers(0, 99))
def test_judged_calls_are_inside_the_samples_and_one_is_the_first_of_a_sample(blocks, loops, has_state, seed):
    seeds = [7, 8, 9, 10]
    chosen = judged_samples.choose_judged_calls(Random(seed), seeds, blocks, loops, has_state)
    assert len(chosen) == blocks
    assert sum(map(len, chosen)) == min(4, loops if has_state else blocks * loops)
    assert all(0 <= position < loops for positions in chosen for position in positions)
    assert any(0 in positions for positions in chosen)
    assert sum(map(bool, chosen)) <= (1 if has_state else 4)
    drawn = [judged for positions in chosen for judged in positions.values()]
    assert sorted(drawn) == seeds[: len(drawn)]


def test_the_judged_calls_of_two_runs_differ():
    runs = {str(judged_samples.choose_judged_calls(Random(seed), [1, 2], 10, 1000, False)) for seed in range(5)}
    assert len(runs) == 5


def test_a_sample_repeats_its_arguments_only_after_the_pool_and_has_those_of_the_judged_calls():
    plan = SamplePlan(seed=3, loops=3 * POOL, judged={5: 41, POOL: 42})
    arguments = [x.tobytes() for (x,) in plan.arguments(draw)]
    unjudged = [x.tobytes() for (x,) in SamplePlan(seed=3, loops=POOL).arguments(draw)]
    assert sorted(unjudged) == sorted(x.tobytes() for (x,) in draw(3, POOL))
    assert len(set(arguments[:POOL])) == POOL
    assert arguments[POOL + 1 : 2 * POOL] == [*arguments[1:5], unjudged[5], *arguments[6:POOL]]
    assert arguments[5] == draw(41, 1)[0][0].tobytes()
    assert arguments[POOL] == draw(42, 1)[0][0].tobytes()


def test_a_record_has_the_results_of_the_judged_calls_in_order():
    sample = PreparedSample(TimedCall(np.sum, draw), SamplePlan(1, 20, {2: 50, 11: 51}))
    taken = sample.time()
    assert 0 < taken.seconds < taken.total_seconds
    assert sample.record().results == [draw(seed, 1)[0][0].sum() for seed in (50, 51)]


def test_a_state_is_copied_before_and_after_the_calls_of_the_sample():
    total = [0.0]

    def add(x):
        total[0] += x.sum()
        return total[0]

    plan = SamplePlan(1, 20, {19: 5})
    sample = PreparedSample(TimedCall(add, draw, lambda: total[0]), plan)
    sample.time()
    record = sample.record()
    change = sum(x.sum() for (x,) in plan.arguments(draw))
    assert record.after - record.before == pytest.approx(change)
    assert record.results == [record.after]


def test_the_first_call_has_an_object_that_was_passed_with_other_content():
    seen = []
    sample = PreparedSample(TimedCall(lambda x: seen.append((id(x), x.copy())), draw), SamplePlan(1, 20, {0: 5}))
    sample.time()
    (last_warm_up, first) = seen[-21:-19]
    assert last_warm_up[0] == first[0]
    assert not np.array_equal(last_warm_up[1], first[1])
    assert np.array_equal(first[1], draw(5, 1)[0][0])


def test_a_call_that_changes_its_arguments_is_told_so():
    sample = PreparedSample(TimedCall(np.ndarray.sort, draw), SamplePlan(1, 2, {0: 5}))
    sample.time()
    with pytest.raises(WorkloadError, match=r"^changes its inputs$"):
        sample.record()


def test_a_result_is_copied_before_the_next_call():
    pending = []

    def compute_if_kept(x):
        for inputs, result in pending:
            if sys.getrefcount(result) > 3:  # more than the list's tuple, this name and the argument
                result[:] = inputs
        result = np.zeros(3)
        pending[:] = [(x, result)]
        return result

    sample = PreparedSample(TimedCall(compute_if_kept, draw), SamplePlan(1, 20, {5: 50}))
    sample.time()
    assert np.array_equal(sample._copies, np.zeros((1, 3)))
    with pytest.raises(WorkloadError, match=r"^changes a result after returning it$"):
        sample.record()


def test_a_result_that_the_next_call_overwrites_is_told_so():
    shared = np.zeros(3)
    sample = PreparedSample(TimedCall(lambda x: np.copyto(shared, x) or shared, draw), SamplePlan(1, 20, {5: 50}))
    sample.time()
    with pytest.raises(WorkloadError, match=r"^changes a result after returning it$"):
        sample.record()


def test_a_result_with_nan_that_stays_as_it_is_is_no_changed_result():
    sample = PreparedSample(TimedCall(lambda x: [math.nan, (x * math.nan, "a")], draw), SamplePlan(1, 20, {5: 50}))
    sample.time()
    assert math.isnan(sample.record().results[0][0])


def test_the_time_of_the_loop_is_not_counted():
    calls = TimedCall(lambda x: time.sleep(0.0005), draw)
    gross = PreparedSample(calls, SamplePlan(1, 3))
    taken = gross.time()
    assert taken.seconds < taken.total_seconds / 3
    empty = timer.time_empty_calls(draw(0, 3))
    assert 0 < empty < 1e-5


def test_a_call_that_does_nothing_gets_no_time(monkeypatch):
    monkeypatch.setattr(timer, "time_empty_calls", lambda arguments: 1.0)
    with pytest.raises(WorkloadError, match="a call takes no longer than an empty one"):
        PreparedSample(TimedCall(callable, draw), SamplePlan(1, 3)).time()


class Hostile(np.ndarray):
    def __reduce__(self):
        raise AssertionError("was pickled")


@pytest.mark.parametrize(
    ("result", "plain"),
    [
        (1.5, 1.5),
        (np.float32(2), np.float32(2)),
        ((1, [np.float64(3), None]), (1, [np.float64(3), None])),
        (object(), OtherObject("object")),
        (np.zeros(2).view(Hostile), OtherObject("Hostile")),
        (np.array([object()]), OtherObject("ndarray")),
    ],
    ids=["a float", "a NumPy number", "nested", "an object", "a subclass of an array", "an array of objects"],
)
def test_results_become_plain_data(result, plain):
    assert judged_samples.as_plain_data(result) == plain


def test_a_plain_array_is_copied():
    array = np.arange(3.0)
    copied = judged_samples.as_plain_data([array])[0]
    array[:] = 0
    assert copied.tolist() == [0, 1, 2]


def readings(reported, elapsed, count=10, longest=0.003):
    return [ClockReading("a", reported, elapsed, longest)] * count


@pytest.mark.parametrize(
    ("known", "disagrees"),
    [
        (readings(0.001, 0.0011), False),
        (readings(0.001, 0.0013), False),
        (readings(0.001, 0.002), True),  # the worker's clock goes at half the speed
        (readings(0.004, 0.001), True),  # it goes fast
        (readings(0.003, 0.001), False),  # the first message may be late, as all may be on a busy machine
        ([*readings(0.004, 0.001), *readings(0.003, 0.001, 1)], False),
        ([*readings(0.001, 0.02), *readings(0.001, 0.0012, 1)], False),  # a busy machine delays messages
        (readings(0.02, 0.06, 3), True),  # 60 ms by the shorter clock
        (readings(0.001, 0.06, 3), False),  # the messages may be late
        (readings(0.02, 0.08, 1), False),
        (readings(0.001, 0.002, 3), False),  # too little to tell
        ([], False),
    ],
)
def test_the_clocks_disagree_if_all_readings_do(known, disagrees):
    text = clock_check.disagreement(known)
    assert text.startswith("its clock is wrong: samples of ") == disagrees
    assert bool(text) == disagrees


def test_messages_that_are_late_for_all_arms_are_no_disagreement():
    """As on a machine with six busy processes, where all ten messages of an honest arm were late by 4 ms or more."""
    late = readings(0.0014, 0.0062)
    assert clock_check.disagreement(late, readings(0.001, 0.0055)) == ""
    assert clock_check.disagreement(late, readings(0.001, 0.0011)).startswith("its clock is wrong")


def test_an_arm_whose_messages_are_all_late_but_one_as_little_as_those_of_others_is_not_accused():
    late = [*readings(0.001, 0.02), *readings(0.001, 0.004, 1)]
    assert clock_check.disagreement(late, readings(0.001, 0.002)) == ""
    assert clock_check.disagreement(late, readings(0.001, 0.0011)).startswith("its clock is wrong")


def test_a_cache_is_noticed_and_an_honest_call_is_not():
    results = {}

    def cached(x):
        key = x.tobytes()
        if key not in results:
            time.sleep(0.0002)
            results[key] = x.sum()
        return results[key]

    with pytest.raises(WorkloadError, match=r"answers repeated inputs from a cache: new inputs take \d+\.\d times"):
        cache_check.require_no_cache(TimedCall(cached, draw), 0.0002, Random(0))
    cache_check.require_no_cache(TimedCall(lambda x: time.sleep(0.0002), draw), 0.0002, Random(0))
