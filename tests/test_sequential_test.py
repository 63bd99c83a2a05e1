"""The sequential test, against simulations, tables of Student's t and rules that are wrong."""

import math
from itertools import islice

import numpy as np
import pytest
from scipy import stats

from pairbench import sequential_test
from pairbench.sequential_test import RoundChange, judge_rounds, judge_session

SPREAD = 0.02


def simulated(seed, count, change=0.0, offset=0.0, spread=SPREAD):
    rng = np.random.default_rng(seed)
    changes, offsets = rng.normal(change, spread, count), rng.normal(offset, spread, count)
    return [RoundChange(float(c), float(o)) for c, o in zip(changes, offsets, strict=True)]


def verdict_of(pairs, threshold=0.05, rows=1):
    """The verdict when rounds are measured until it is decided."""
    for count in range(len(pairs) + 1):
        judged = judge_rounds(pairs[:count], threshold, rows)
        if judged.decided:
            break
    return judged


def test_the_looks_are_each_a_third_more_than_the_one_before():
    assert list(islice(sequential_test.analysis_points(), 6)) == [6, 8, 11, 15, 20, 27]


def test_nothing_is_decided_before_the_first_look():
    for count in range(sequential_test.MIN_ROUNDS):
        judged = judge_rounds(simulated(0, count, change=1.0), 0.05, 1)
        assert (judged.verdict, judged.decided, judged.rounds) == ("INCONCLUSIVE", False, count)


def test_the_interval_is_students_with_the_first_looks_share():
    changes = [0.01, -0.01, 0.02, 0.0, 0.01, -0.03]  # mean 0, standard deviation sqrt(0.0016 / 5)
    judged = judge_rounds([RoundChange(value, 0.0) for value in changes], 0.05, 1)
    half = 2.570582 * math.sqrt(0.0016 / 5 / 6)  # the 97.5 % quantile of 5 degrees of freedom, from a table
    assert judged.estimate == pytest.approx(0.0, abs=1e-15)
    assert judged.high == pytest.approx(half, rel=1e-5)
    assert judged.low == pytest.approx(-half, rel=1e-5)
    assert judged.verdict == "PASS"


@pytest.mark.parametrize(
    ("change", "threshold", "expected"),
    [(0.0, 0.05, "PASS"), (0.1, 0.05, "FAIL"), (0.05, 0.03, "FAIL"), (-0.2, 0.05, "PASS")],
)
def test_verdicts_on_many_series(change, threshold, expected):
    verdicts = [verdict_of(simulated(seed, 60, math.log1p(change)), threshold).verdict for seed in range(100)]
    assert verdicts.count(expected) >= 97
    opposite = {"PASS": "FAIL", "FAIL": "PASS"}[expected]
    assert verdicts.count(opposite) == 0


def test_a_regression_takes_later_rounds_that_confirm_it():
    high, none = simulated(1, 6, change=0.2), simulated(2, 30)
    suspected = judge_rounds(high, 0.05, 1)
    assert (suspected.verdict, suspected.decided, suspected.confirming_rounds) == ("INCONCLUSIVE", False, 0)
    judged = verdict_of([*high, *none])
    assert (judged.verdict, judged.decided) == ("PASS", True)
    assert judged.estimate < 0.05  # the rounds that gave the suspicion are not counted
    judged = verdict_of([*high, *simulated(3, 6, change=0.2)])
    assert (judged.verdict, judged.rounds, judged.confirming_rounds) == ("FAIL", 12, 6)


def test_what_the_base_differs_from_itself_by_is_no_change():
    assert verdict_of(simulated(4, 40, change=0.08, offset=0.0, spread=0.005)).verdict == "FAIL"
    for offset in (0.08, -0.08):
        assert verdict_of(simulated(4, 40, change=0.08, offset=offset, spread=0.005)).verdict != "FAIL"


def suspicions(level_of_look, series):
    """How many series are suspected at some look where nothing has changed, with a threshold of nothing."""
    found = 0
    for changes in series:
        for number, sets in enumerate(islice(sequential_test.analysis_points(), 7), 1):
            seen = changes[:sets]
            error = seen.std(ddof=1) / math.sqrt(sets)
            if seen.mean() > stats.t.ppf(1 - level_of_look(number), sets - 1) * error:
                found += 1
                break
    return found


def test_all_looks_together_err_no_more_often_than_is_allowed():
    series = np.random.default_rng(5).normal(0, SPREAD, (2000, 36))
    alpha = sequential_test.FAIL_ALPHA
    ours = sum(
        judge_rounds([RoundChange(float(c), 0.0) for c in changes], 1e-12, 1).confirming_rounds is not None
        for changes in series
    )
    assert ours == suspicions(lambda number: alpha / 2**number, series)
    assert stats.binomtest(ours, len(series), alpha, "greater").pvalue > 0.01
    # A rule that gives every look all of it errs more often, and this test would see it.
    greedy = suspicions(lambda number: alpha, series)
    assert stats.binomtest(greedy, len(series), alpha, "greater").pvalue < 1e-6


def test_more_rows_take_more_evidence():
    pairs = simulated(6, 6, change=0.065, spread=0.025)
    assert judge_rounds(pairs, 0.05, 1).detectable < judge_rounds(pairs, 0.05, 100).detectable
    few, many = (
        sum(judge_rounds(simulated(s, 6, 0.07), 0.05, rows).confirming_rounds == 0 for s in range(200))
        for rows in (1, 1000)
    )
    assert many < few


def test_the_detectable_change_is_suspected_as_often_as_it_says():
    """Where the spread is known, for the quantity is computed from an estimate of it."""
    for spread in (0.005, 0.03):
        detectable = np.mean(
            [judge_rounds(simulated(seed, 6, spread=spread), 0.05, 1).detectable for seed in range(400)]
        )
        share = np.mean(
            [
                judge_rounds(simulated(seed, 6, detectable, spread=spread), 0.05, 1).confirming_rounds == 0
                for seed in range(1000, 1400)
            ]
        )
        assert 0.65 < share < 0.98


def test_a_new_session_against_the_interval_that_others_predict():
    history = [math.log(9.0) + value for value in (0.01, -0.01, 0.02, 0.0, 0.01, -0.03, 0.0, 0.01, -0.01, 0.0)]
    mean, spread = np.mean(history), np.std(history, ddof=1)
    judged = judge_session(history, mean - 0.2, 0.05, 0.01)
    half = 1.833113 * spread * math.sqrt(1.1)  # the 95 % quantile of 9 degrees of freedom, from a table
    assert judged.verdict == "FAIL"
    assert judged.estimate == pytest.approx(0.2)
    assert judged.high - judged.estimate == pytest.approx(half, rel=1e-5)
    assert judge_session(history, mean, 0.05, 0.01).verdict == "PASS"
    assert judge_session(history, mean + 0.5, 0.05, 0.01).verdict == "PASS"
    assert judge_session(history, mean - 0.045, 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(history[:9], mean - 1, 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(history[:9], mean - 1, 0.05, 0.01).detectable > 0.05
    assert judge_session(history[:1], mean, 0.05, 0.01).detectable is None


def test_a_wild_history_decides_nothing():
    history = [math.log(9.0) + value for value in np.random.default_rng(7).normal(0, 0.2, 12)]
    assert judge_session(history, float(np.mean(history)), 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(history, float(np.mean(history)) - 0.3, 0.05, 0.01).verdict == "INCONCLUSIVE"
