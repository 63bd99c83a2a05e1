"""The simulation of the stored baseline: its measures know right rules from wrong ones."""

import numpy as np
import pytest
from scipy import stats

from bench.gate import session_rates
from bench.gate.session_rates import FIRST, NOISES, RULES, Rule
from pairbench.session_test import History, certain_gain, judge_session

FORMER, PRESENT = RULES
HEAVY = NOISES["heavy tails, 1 %"]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Simulate little."""
    for name, count in (("BASELINES", 12), ("SERIES", 12), ("CALLS", 40)):
        monkeypatch.setattr(session_rates, name, count)


def random():
    return np.random.default_rng(7)


def always(series, rows, random):
    yield from range(FIRST, len(series))


ALWAYS = Rule("always", always, lambda *_: iter([True]), lambda *_: True)
NEVER = Rule("never", lambda *_: iter([]), lambda *_: iter([]), lambda *_: False)


@pytest.mark.parametrize(("rule", "share"), [(ALWAYS, 1), (NEVER, 0)])
def test_the_measures_count(rule, share):
    assert session_rates.false_alarms(rule, HEAVY, 2, random()) == share
    assert session_rates.caught_creep(rule, HEAVY, 2, random(), 0) == share
    assert session_rates.caught_creep(rule, HEAVY, 2, random(), 10) == share
    assert session_rates.caught_loss(rule, HEAVY, 2, random()) == share
    assert session_rates.false_gains(rule, HEAVY, 2, random()) == share
    assert session_rates.false_confirmations(rule, HEAVY, 2, random()) == (12 * share, 12 * share)


def test_the_present_rule_keeps_its_promises():
    for noise in (NOISES["normal, 1 %"], NOISES["normal, 2 %"], HEAVY):
        assert session_rates.caught_creep(PRESENT, noise, 24, random(), 0) == 1
        assert session_rates.caught_loss(PRESENT, noise, 24, random()) == 1
        assert session_rates.false_alarms(PRESENT, noise, 1, random()) == 0
        assert session_rates.false_gains(PRESENT, noise, 1, random()) <= 0.05


def test_a_rule_that_needs_one_session_alone_raises_false_alarms():
    def failures(series, rows, random):
        for position in range(FIRST, len(series)):
            *values, now = series[: position + 1].tolist()
            if judge_session(History(values), now, now, 0.05, rows).verdict == "FAIL":
                yield position

    assert session_rates.false_alarms(Rule("one", failures, None, None), HEAVY, 4, random()) > 0.5
    assert session_rates.false_alarms(PRESENT, HEAVY, 4, random()) < 0.1


def test_a_rule_without_an_anchor_or_without_a_window_misses_a_loss():
    def catches(values, now):
        return judge_session(History(values), now, now, 0.05, 24).verdict == "FAIL"

    def rule(start, stop):
        def failures(series, rows, random):
            for position in range(FIRST, len(series)):
                if catches(series[: position - 1].tolist()[start:stop], series[position]):
                    yield position

        return Rule("part", failures, None, None)

    quiet = NOISES["normal, 1 %"]
    latest, first = rule(-10, None), rule(0, 10)
    assert session_rates.caught_creep(latest, NOISES["normal, 2 %"], 24, random(), 0) < 0.5
    assert session_rates.caught_creep(first, quiet, 24, random(), 10) == 1
    assert session_rates.caught_loss(first, quiet, 24, random()) == 0


def test_nothing_that_can_fail_is_left_out():
    """The quick comparison before the rule changes no verdict."""
    count = 0
    for seed in range(6):
        series = np.random.default_rng(seed).normal(0, 0.02, 45) - 0.15 * (np.arange(45) > 25)
        everywhere = []
        for position in range(FIRST, len(series)):
            *values, other, now = series[: position + 1].tolist()
            if judge_session(History(values), now, other, 0.05, 3).verdict == "FAIL":
                everywhere.append(position)
        assert list(PRESENT.failures(series, 3, random())) == everywhere
        assert sum(PRESENT.suspicions(series, 3, random())) == len(everywhere)
        count += len(everywhere)
        gained = -series
        *values, other, now = gained.tolist()
        assert PRESENT.gains(gained, 3) == (certain_gain(History(values), now, other, 3) is not None) is True
    assert count > 50


def test_the_former_rule_is_a_prediction_interval_of_all_sessions(monkeypatch):
    monkeypatch.setattr(session_rates, "REPEAT_SPREAD", 0.0)  # the repeat equals the session
    series = np.random.default_rng(3).normal(0, 0.02, 60)
    series[[20, 30, 40]] -= (0.05, 0.08, 0.2)
    series[-1] += 0.06
    expected = []
    for position in range(FIRST, len(series)):
        before = series[:position]
        error = np.std(before, ddof=1) * np.sqrt(1 + 1 / position)
        fall = before.mean() - series[position]
        if fall > max(np.log(1.05), stats.t.isf(0.01 / 3, position - 1) * error):
            expected.append(position)
        gain = -fall > stats.t.isf(0.05, position - 1) * error
        assert FORMER.gains(series[: position + 1], 3) == gain
    assert list(FORMER.failures(series, 3, random())) == expected
    assert list(FORMER.suspicions(series, 3, random())) == [True] * len(expected)
    assert 40 in expected


def test_the_table_is_the_same_in_every_run(monkeypatch):
    monkeypatch.setattr(session_rates, "NOISES", {"normal, 1 %": NOISES["normal, 1 %"]})
    monkeypatch.setattr(session_rates, "ROWS", (2,))
    monkeypatch.setattr(session_rates, "BASELINES", 2)
    lines = list(session_rates.table())
    assert lines == list(session_rates.table())
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {10}
    assert lines[-1].startswith("| normal, 1 % | 2 | present | 0 | 100 | 100 | 100 |")
