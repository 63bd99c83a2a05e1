"""Timing functions in this process: the order of the samples, the arguments, failures, and the state of the process."""

import functools
import gc
import math
import sys
from random import Random

import numpy as np
import pytest

from pairbench import function_timer, interleave, timer
from pairbench.function_timer import FunctionTimer
from pairbench.functions import CONTROL, REFERENCE, CompareError, FunctionSet
from tests.helpers import assert_one_line

BUSY = 2e-4
"""Seconds of a sleepless wait, long enough that a sample is a few calls."""


def functions(reference, candidates, args=(), kwargs=None, setup=None):
    return FunctionSet.of(reference, candidates, args, kwargs, setup)


def run(made, blocks=8, collection=False, seed=0):
    timed = FunctionTimer(made, collection, Random(seed))
    timed.check()
    timed.warm_up()
    timed.extend(blocks, math.inf)
    return timed


def busy(*_):
    end = timer.seconds_now() + BUSY
    while timer.seconds_now() < end:
        pass
    return 1.0


def precedence(samples, arms):
    """For each pair of arms, the share of the blocks in which the first of them comes first."""
    places = {arm: {one.block: one.position for one in samples[arm]} for arm in arms}
    return [
        sum(places[a][block] < places[b][block] for block in places[a]) / len(places[a])
        for a in arms
        for b in arms
        if a != b
    ]


def require_interleaved(samples):
    """Raise AssertionError unless every block has every arm, and no arm comes before another one too often."""
    arms = [*samples]
    for arm in arms:
        assert [one.block for one in samples[arm]] == [*range(len(samples[arms[0]]))], "a block lacks an arm"
    assert set(precedence(samples, arms)) == {0.5}, "the order is not balanced"


def test_samples_are_interleaved_in_balanced_order():
    timed = run(functions(busy, {"same": busy}), blocks=12)
    assert [*timed.samples] == [REFERENCE, CONTROL, "same"]
    require_interleaved(timed.samples)


def test_a_fixed_order_is_no_balanced_order(monkeypatch):
    monkeypatch.setattr(function_timer.interleave, "balanced_orders", lambda arms, random: iter([[*range(arms)]] * 99))
    timed = run(functions(busy, {"same": busy}), blocks=12)
    with pytest.raises(AssertionError, match="the order is not balanced"):
        require_interleaved(timed.samples)


def test_one_arm_after_the_other_is_no_interleaving(monkeypatch):
    orders = [[0]] * 6 + [[1]] * 6 + [[2]] * 6
    monkeypatch.setattr(function_timer.interleave, "balanced_orders", lambda arms, random: iter(orders))
    timed = run(functions(busy, {"same": busy}), blocks=18)
    with pytest.raises(AssertionError, match="a block lacks an arm"):
        require_interleaved(timed.samples)


def test_a_reading_names_the_arm_that_was_timed_before():
    timed = run(functions(busy, {"same": busy}), blocks=6)
    for block in range(6):
        order = sorted(
            (one.position, one.before, arm) for arm, all_of in timed.samples.items() for one in [all_of[block]]
        )
        assert [before for _, before, _ in order] == ["", order[0][2], order[1][2]]


def test_the_first_calls_are_not_timed():
    """A function whose first three calls take 50 times as long, as one that is compiled."""
    calls = []

    def compiled():
        calls.append(1)
        for _ in range(50 if len(calls) <= 3 else 1):
            busy()

    timed = run(functions(busy, {"compiled": compiled}))
    assert max(one.gross for one in timed.samples["compiled"]) < 25 * BUSY


@pytest.mark.parametrize("collection", [False, True])
def test_the_garbage_collector_is_as_stated_while_timing_and_as_before_afterwards(collection):
    seen = set()

    def note():
        seen.add(gc.isenabled())
        busy()

    timed = FunctionTimer(functions(busy, {"note": note}), collection, Random(0))
    timed.check()
    timed.warm_up()
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            seen.clear()
            timed.extend(4, math.inf)
            assert (seen, gc.isenabled()) == ({collection}, enabled)
        finally:
            gc.enable()


def test_every_call_of_a_factory_has_arguments_of_its_own():
    made, seen = [], []

    def setup():
        made.append([3, 1, 2])
        return (made[-1],)

    def sort(values):
        seen.append(id(values))
        assert values == [3, 1, 2], "arguments that were used before"
        values.sort()
        busy()
        return values

    timed = run(functions(sort, {"other": sort}, setup=setup))
    assert timed.failures == {}
    assert "changes its arguments, which are new for each call" in timed.remarks["other"]
    assert len(timed.samples["other"]) == 8


def test_a_function_that_changes_fixed_arguments_is_refused():
    values = [3, 1, 2]
    timed = run(functions(sorted, {"sort": lambda given: given.sort() or given}, (values,)))
    assert "changes its arguments; give setup=" in timed.failures["sort"]
    assert "sort" not in [arm for arm, found in timed.samples.items() if found]
    assert values == [3, 1, 2]
    with pytest.raises(CompareError, match="the reference changes its arguments; give setup="):
        run(functions(lambda given: given.sort(), {"sorted": sorted}, (values,)))


def test_arguments_that_change_only_later_are_noticed():
    calls = []

    def late(values):
        calls.append(1)
        if len(calls) == 30:
            values[0] = 7.0
        busy()

    with pytest.raises(CompareError, match="one of the functions changes its arguments"):
        run(functions(busy, {"late": late}, (np.zeros(3),)), blocks=50)


def test_arguments_that_cannot_be_copied_are_said():
    import threading

    timed = run(functions(busy, {"same": busy}, (threading.Lock(),)))
    assert "cannot be copied" in timed.remarks[REFERENCE][0]


def test_keyword_arguments_reach_every_call():
    def power(value, *, exponent):
        busy()
        return value**exponent

    timed = run(functions(power, {"same": power}, (2,), {"exponent": 3}))
    assert [pair.output for pair in timed.evidence["same"]] == [8, 8]


@pytest.mark.parametrize(
    ("error", "words"),
    [(ValueError("two\nlines"), "raises ValueError: two lines"), (SystemExit(3), "raises SystemExit: 3")],
)
@pytest.mark.parametrize("call", [1, 40])
def test_a_candidate_that_raises_fails_alone(error, words, call):
    calls = []

    def bad():
        calls.append(1)
        if len(calls) >= call:
            raise error
        busy()

    timed = run(functions(busy, {"bad": bad, "good": busy}), blocks=30)
    assert words in timed.failures["bad"]
    assert timed.errors["bad"] is error
    assert_one_line(timed.failures["bad"])
    assert len(timed.samples["good"]) == 30
    calls.clear()
    with pytest.raises(CompareError, match=f"the reference {words}"):
        run(functions(bad, {"good": busy}), blocks=30)


def test_what_a_function_prints_does_not_go_to_standard_output(capsys):
    def talk():
        print("hello")
        busy()

    run(functions(busy, {"talk": talk}))
    assert capsys.readouterr().out == ""


def test_the_results_of_timed_calls_are_kept_as_evidence():
    calls = []

    def drifting(value):
        calls.append(1)
        busy()
        return value + (len(calls) > 20)

    timed = run(functions(lambda value: busy() * 5.0, {"drifting": drifting}, (5.0,)), blocks=30)
    timed.extend(1, math.inf)
    first, last = timed.evidence["drifting"][0], timed.evidence["drifting"][-1]
    assert (first.expected, first.output, first.call) == (5.0, 5.0, "")
    assert (last.expected, last.output, last.call) == (5.0, 6.0, "in a timed call")


def test_evidence_of_a_factory_compares_outputs_for_equal_arguments():
    random = Random(0)
    timed = run(functions(math.sqrt, {"power": lambda x: x**0.5}, setup=lambda: (random.random(),)))
    for pair in timed.evidence["power"]:
        assert pair.output == pytest.approx(pair.expected)
    assert timed.evidence[REFERENCE][0].call == "in a timed call"


def test_evidence_does_not_change_if_a_function_uses_its_result_again():
    workspace = np.zeros(2)

    def reuse(value):
        busy()
        workspace[:] += value
        return workspace

    timed = run(functions(busy, {"reuse": reuse}, (1.0,)))
    outputs = [pair.output[0] for pair in timed.evidence["reuse"]]
    assert outputs[0] == 1
    assert outputs[1] > 1


def test_a_clock_that_stands_still_is_said(monkeypatch):
    monkeypatch.setattr(function_timer.timer, "time_calls", lambda function, drawn: (0.0, function(*drawn[-1])))
    with pytest.raises(CompareError, match="nothing can be timed: the clock does not advance"):
        run(functions(abs, {"same": abs}, (1.0,)))


def lru():
    @functools.lru_cache
    def cached(value):
        return busy() + value

    return cached


def own_cache():
    known = {}

    def cached(values):
        key = values.tobytes()
        if key not in known:
            known[key] = busy() + values.sum()
        return known[key]

    return cached


@pytest.mark.parametrize(("make", "argument"), [(lru, 2), (own_cache, np.arange(3.0))])
def test_a_cache_is_noticed(make, argument):
    timed = run(functions(lambda value: busy() + np.sum(value), {"cached": make()}, (argument,)))
    assert "answers repeated inputs from a cache" in timed.failures["cached"]
    assert "give setup=" in timed.failures["cached"]


def test_a_slow_function_with_a_cache_is_noticed_without_many_slow_calls():
    calls = []

    @functools.lru_cache
    def cached(value):
        calls.append(1)
        for _ in range(300):
            busy()
        return value

    timed = FunctionTimer(functions(float, {"cached": cached}, (2.0,)), False, Random(0))
    cached.cache_info = None  # so that only the times tell
    timed.check()
    timed.warm_up()
    assert "answers repeated inputs from a cache" in timed.failures["cached"]
    assert len(calls) < 12


def test_fresh_inputs_keep_a_cache_from_answering():
    random = Random(0)
    timed = run(functions(lambda value: busy() + value, {"cached": lru()}, setup=lambda: (random.random(),)))
    assert timed.failures == {}
    assert min(one.gross for one in timed.samples["cached"]) > BUSY / 2


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        (lambda: [1], "setup must return a tuple of arguments, not list; write return (value,)"),
        (lambda: 1 / 0, "setup raises ZeroDivisionError: division by zero"),
    ],
)
def test_a_wrong_factory_gets_one_line(setup, words):
    with pytest.raises(CompareError) as info:
        run(functions(abs, {"same": abs}, setup=setup))
    assert words in str(info.value)
    assert_one_line(str(info.value))


def test_a_tracer_does_not_slow_the_calls_and_comes_back():
    seen = []

    def note():
        seen.append(sys.gettrace())
        busy()

    timed = FunctionTimer(functions(busy, {"note": note}), False, Random(0))
    timed.check()
    before = sys.gettrace()
    sys.settrace(tracer := lambda *_: None)
    try:
        seen.clear()
        timed.warm_up()
        timed.extend(2, math.inf)
        assert sys.gettrace() is tracer
    finally:
        sys.settrace(before)
    assert set(seen) == {None}


def test_the_order_of_another_number_of_arms_is_balanced_after_a_failure():
    assert interleave.balanced_orders is function_timer.interleave.balanced_orders
    calls = []

    def bad():
        calls.append(1)
        if len(calls) > 60:
            raise ValueError
        busy()

    timed = run(functions(busy, {"bad": bad, "good": busy}), blocks=60)
    start = 1 + max(one.block for one in timed.samples["bad"])
    rest = {arm: [one for one in timed.samples[arm] if one.block > start] for arm in (REFERENCE, CONTROL, "good")}
    firsts = [min(rest, key=lambda arm: rest[arm][index].position) for index in range(len(rest["good"]))]
    assert set(firsts) == {REFERENCE, CONTROL, "good"}


def test_looking_for_a_cache_does_not_use_up_arguments_that_a_function_changes():
    def pop(values, value):
        busy()
        return values.pop() + value

    timed = run(functions(pop, {"same": pop}, setup=lambda: ([1], 0.5)))
    assert timed.failures == {}
