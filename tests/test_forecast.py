"""How long a run takes: before it begins, and while it runs; fewer calls of a slow reference."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import impls
from bench.arms import Arm, arms_of_case
from bench.case_measurement import DEFAULT_EFFORT, QUICK_EFFORT
from bench.cases import Case, select_cases
from bench.forecast import forecast
from impls import Network
from pairbench import duration, measure
from pairbench.measure import AA_CONTROL, Measurement, chosen_arms

CORE = [name for name, origin in impls.origins().items() if origin == "core" and name != "python_loops"]
SLOW, QUICK, CONTROL = (
    Arm(name, name, Case(Network((3, 3, 1)), "forward", 1)) for name in ("slow", "quick", AA_CONTROL)
)


def groups_of(cases):
    others = [SimpleNamespace(name=name, dtypes=("float64",)) for name in CORE]
    return [arms_of_case(case, impls.load("python_loops"), others) for case in cases]


def minutes(text):
    number, unit = text.split(" on an idle machine")[0].split()[-2:]
    return int(number) / (60 if unit == "s" else 1)


def test_a_default_run_is_predicted_without_a_word_on_its_reference():
    quick, default = (forecast(groups_of(select_cases()), effort, 0) for effort in (QUICK_EFFORT, DEFAULT_EFFORT))
    assert 0.25 < minutes(quick) < 1.5
    assert minutes(quick) < minutes(default) < 5
    assert quick.startswith("this takes about ")
    assert "reference" not in quick + default


def test_a_reference_that_takes_most_of_the_time_is_named():
    cases = select_cases(["256-128-10"], batches=[256])
    text = forecast([group[:2] for group in groups_of(cases)], QUICK_EFFORT, 0)
    assert (
        " of it for the reference, python_loops, which takes 2 s for gradient 256-128-10, batch 256, float64;" in text
    )


def test_a_slow_reference_is_called_in_fewer_processes_and_its_group_with_it():
    group = (SLOW, CONTROL, QUICK)
    measurement = Measurement([group], seconds={SLOW: 1.0, CONTROL: 1.0, QUICK: 1e-6})
    effort = replace(QUICK_EFFORT, processes=4, slow_processes=3)
    counts = [len(chosen_arms(group, measurement, effort, number)) for number in range(effort.processes)]
    assert counts == [3, 3, 3, 0]
    others = (QUICK, CONTROL, SLOW)  # a quick reference, and a slow arm
    measurement = Measurement([others], seconds={SLOW: 1.0, CONTROL: 1e-6, QUICK: 1e-6})
    assert chosen_arms(others, measurement, effort, 3) == (QUICK, CONTROL)


def test_the_time_left_follows_from_the_processes_so_far(monkeypatch):
    now = iter([100.0, 110.0])
    monkeypatch.setattr(measure.time, "monotonic", lambda: next(now))
    group = (QUICK, CONTROL)
    clock = measure.ProcessClock(Measurement([group], seconds=dict.fromkeys(group, 1e-6)), QUICK_EFFORT)
    assert clock.seconds_left(0) is None
    assert clock.seconds_left(1) == pytest.approx(50)  # 5 more processes like the first, which took 10 s


def test_a_process_that_times_nothing_takes_no_time():
    assert duration.process_seconds([()], {}, QUICK_EFFORT, 3) == 0


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (89.4, "89 s"), (100, "2 min"), (217, "4 min")])
def test_durations_in_words(seconds, text):
    assert duration.in_words(seconds) == text
