"""The sequential test, against simulations, tables of Student's t, and wrong rules."""

import math
from dataclasses import astuple
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
    """Add rounds until the verdict is decided, and return the judgement."""
    for count in range(len(pairs) + 1):
        judged = judge_rounds(pairs[:count], threshold, rows)
        if judged.decided:
            break
    return judged


def test_each_interim_analysis_has_a_third_more_rounds():
    assert list(islice(sequential_test.analysis_points(), 6)) == [6, 8, 11, 15, 20, 27]


def test_nothing_is_decided_before_the_first_interim_analysis():
    for count in range(sequential_test.MIN_ROUNDS):
        judged = judge_rounds(simulated(0, count, change=1.0), 0.05, 1)
        assert (judged.verdict, judged.decided, judged.rounds) == ("INCONCLUSIVE", False, count)


def test_the_interval_is_students_with_the_alpha_of_the_first_analysis():
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
    assert judged.estimate < 0.05  # the rounds that raised the suspicion do not count
    judged = verdict_of([*high, *simulated(3, 6, change=0.2)])
    assert (judged.verdict, judged.rounds, judged.confirming_rounds) == ("FAIL", 12, 6)


def test_the_offset_of_the_control_is_no_change():
    assert verdict_of(simulated(4, 40, change=0.08, offset=0.0, spread=0.005)).verdict == "FAIL"
    for offset in (0.08, -0.08):
        assert verdict_of(simulated(4, 40, change=0.08, offset=offset, spread=0.005)).verdict != "FAIL"


def suspicions(level_of_analysis, series):
    """The number of series that are suspected at an interim analysis, with a threshold of zero."""
    suspected = 0
    for changes in series:
        for number, rounds in enumerate(islice(sequential_test.analysis_points(), 7), 1):
            measured = changes[:rounds]
            error = measured.std(ddof=1) / math.sqrt(rounds)
            if measured.mean() > stats.t.ppf(1 - level_of_analysis(number), rounds - 1) * error:
                suspected += 1
                break
    return suspected


def test_the_interim_analyses_together_keep_the_error_rate():
    series = np.random.default_rng(5).normal(0, SPREAD, (2000, 36))
    alpha = sequential_test.FAIL_ALPHA
    ours = sum(
        judge_rounds([RoundChange(float(c), 0.0) for c in changes], 1e-12, 1).confirming_rounds is not None
        for changes in series
    )
    assert ours == suspicions(lambda number: alpha / 2**number, series)
    assert stats.binomtest(ours, len(series), alpha, "greater").pvalue > 0.01
    # A rule that spends all of alpha at every interim analysis errs significantly more often.
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


def test_the_detectable_effect_is_detected_in_about_80_percent():
    """The spread is averaged over many judgements, because a single one only estimates it."""
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


def test_a_session_is_judged_by_the_prediction_interval_of_the_history():
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


def test_a_widely_spread_history_is_inconclusive():
    history = [math.log(9.0) + value for value in np.random.default_rng(7).normal(0, 0.2, 12)]
    assert judge_session(history, float(np.mean(history)), 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(history, float(np.mean(history)) - 0.3, 0.05, 0.01).verdict == "INCONCLUSIVE"


# Figures and edge cases, with quantiles from SciPy. Judgements are compared as tuples, in the order of their fields:
# verdict, decided, rounds, confirming rounds, estimate, low, high, offset, detectable.


def spread_evenly(count, mean, deviation, offset=0.0):
    """Rounds whose changes are alternately above and below a mean, the last of an odd number at the mean."""
    signs = [(-1) ** number for number in range(count - count % 2)] + [0] * (count % 2)
    return [RoundChange(mean + sign * deviation, offset) for sign in signs]


def standard_error(rounds):
    return float(np.std([change.change for change in rounds], ddof=1)) / math.sqrt(len(rounds))


def quantile(count, alpha):
    return float(stats.t.isf(alpha, count - 1))


@pytest.mark.parametrize(("count", "number"), [(2, 1), (3, 1), (6, 1), (7, 1), (8, 2), (10, 2), (11, 3), (14, 3)])
@pytest.mark.parametrize("rows", [1, 10])
def test_the_figures_of_an_undecided_row(count, number, rows):
    """``number`` is that of the last interim analysis, which determines the alpha that is spent."""
    rounds = spread_evenly(count, 0.03, 0.4, offset=-0.02)
    error = standard_error(rounds)
    half = quantile(count, 0.05 / 2**number) * error
    reach = quantile(count, 0.01 / rows / 2**number) * error
    assert reach > math.log1p(0.05)
    detectable = reach + 0.02 + quantile(count, 0.2) * error
    mean = np.mean([change.change for change in rounds])
    verdict, decided, count_judged, confirming, *figures = astuple(judge_rounds(rounds, 0.05, rows))
    assert (verdict, decided, count_judged, confirming) == ("INCONCLUSIVE", False, count, None)
    assert figures == pytest.approx([mean, mean - half, mean + half, -0.02, detectable], rel=1e-9)


def test_one_round_has_no_figures():
    assert astuple(judge_rounds([RoundChange(1.0, 1.0)], 0.05, 1)) == ("INCONCLUSIVE", False, 1, *[None] * 6)


def test_with_hardly_any_spread_the_threshold_itself_is_detectable():
    rounds = spread_evenly(6, 0.0, 1e-6)
    assert judge_rounds(rounds, 0.05, 1).detectable == pytest.approx(math.log1p(0.05), abs=1e-5)


@pytest.mark.parametrize(("count", "number"), [(6, 1), (8, 2), (11, 3)])
@pytest.mark.parametrize("rows", [1, 10])
def test_a_row_passes_if_the_upper_end_is_below_the_threshold(count, number, rows):
    limit, deviation = math.log1p(0.05), 0.02
    half = quantile(count, 0.05 / 2**number) * standard_error(spread_evenly(count, 0.0, deviation))
    for shift, expected in ((-1e-9, ("PASS", True, count)), (1e-9, ("INCONCLUSIVE", False, count))):
        rounds = spread_evenly(count, limit - half + shift, deviation)
        judged = astuple(judge_rounds(rounds, 0.05, rows))
        assert judged[:4] == (*expected, None)
    # Later rounds change neither a PASS nor its figures.
    passed = spread_evenly(count, limit - half - 1e-9, deviation)
    judged = judge_rounds([*passed, *simulated(0, 30, change=1.0)], 0.05, rows)
    assert judged == judge_rounds(passed, 0.05, rows)
    error = standard_error(passed)
    reach = max(limit, quantile(count, 0.01 / rows / 2**number) * error)
    assert judged.detectable == pytest.approx(reach + quantile(count, 0.2) * error, rel=1e-9)


@pytest.mark.parametrize("rows", [1, 10])
def test_a_row_is_suspected_if_the_lower_end_minus_the_offset_is_above_zero(rows):
    deviation, offset = 0.1, 0.02
    half = quantile(6, 0.01 / rows / 2) * standard_error(spread_evenly(6, 0.0, deviation))
    assert half > math.log1p(0.05)
    for sign in (1, -1):  # the control may be slower or faster than the base
        for shift, confirming in ((1e-9, 0), (-1e-9, None)):
            rounds = spread_evenly(6, half + offset + shift, deviation, sign * offset)
            assert astuple(judge_rounds(rounds, 0.05, rows))[3] == confirming


def test_a_change_of_exactly_the_threshold_is_inconclusive():
    threshold = math.expm1(1 / 16)
    assert math.log1p(threshold) == 1 / 16  # so that the mean equals the threshold exactly
    assert astuple(judge_rounds([RoundChange(1 / 16, 0.0)] * 6, threshold, 1))[:4] == ("INCONCLUSIVE", False, 6, None)


def test_before_two_confirming_rounds_the_figures_are_those_of_the_suspicion():
    suspicious, fresh = simulated(1, 6, change=0.2), spread_evenly(4, 0.1, 0.01, offset=0.03)
    expected = {0: suspicious, 1: suspicious, 2: fresh[:2], 3: fresh[:3]}
    for count, counted in expected.items():
        judged = astuple(judge_rounds([*suspicious, *fresh[:count]], 0.05, 1))
        assert judged[:4] == ("INCONCLUSIVE", False, 6 + count, count)
        assert judged[4] == pytest.approx(np.mean([change.change for change in counted]), rel=1e-9)
        assert judged[7] == pytest.approx(np.mean([change.offset for change in counted]), rel=1e-9)


HISTORY = [math.log(9.0) + value for value in (0.01, -0.01, 0.02, 0.0, 0.01, -0.03, 0.0, 0.01, -0.01, 0.0)]


@pytest.mark.parametrize("spread", [1, 10], ids=["threshold", "interval"])
@pytest.mark.parametrize(("drop", "verdict"), [(1.0, "FAIL"), (-1.0, "PASS"), (0.04, "INCONCLUSIVE")])
def test_the_figures_of_a_session(drop, verdict, spread):
    """With little spread, the threshold limits what is detected; with much spread, the prediction interval does."""
    mean = float(np.mean(HISTORY))
    history = [mean + spread * (value - mean) for value in HISTORY]
    error = np.std(history, ddof=1) * math.sqrt(1 + 1 / 10)
    reach = max(math.log1p(0.05), quantile(10, 0.01) * error)
    assert (reach > math.log1p(0.05)) == (spread == 10)
    half = quantile(10, 0.05) * error
    judged = astuple(judge_session(history, mean - drop, 0.05, 0.01))
    assert judged[:4] == (verdict, verdict != "INCONCLUSIVE", 10, None)
    assert judged[4:7] == pytest.approx((drop, drop - half, drop + half), rel=1e-9)
    assert judged[7] is None
    assert judged[8] == pytest.approx(reach + quantile(10, 0.2) * error, rel=1e-9)


def test_two_sessions_have_figures_and_one_has_none():
    assert astuple(judge_session(HISTORY[:1], 0.0, 0.05, 0.01)) == ("INCONCLUSIVE", False, 1, *[None] * 6)
    half = quantile(2, 0.05) * np.std(HISTORY[:2], ddof=1) * math.sqrt(1.5)
    judged = astuple(judge_session(HISTORY[:2], math.log(9.0), 0.05, 0.01))
    assert judged[:7] == ("INCONCLUSIVE", False, 2, None, *(pytest.approx(v, abs=1e-9) for v in (0.0, -half, half)))


def test_a_session_slower_by_exactly_the_threshold_is_inconclusive():
    threshold = math.expm1(1 / 16)
    assert judge_session([0.0] * 10, -1 / 16, threshold, 0.01).verdict == "INCONCLUSIVE"


def test_the_prediction_interval_has_its_ends_where_a_table_says():
    mean, spread = float(np.mean(HISTORY)), float(np.std(HISTORY, ddof=1))
    half = 2.262157 * spread * math.sqrt(1.1)  # the 97.5 % quantile of 9 degrees of freedom
    for sign in (1, -1):
        assert not sequential_test.outside_prediction(HISTORY, mean + sign * 0.9999 * half)
        assert sequential_test.outside_prediction(HISTORY, mean + sign * 1.0001 * half)
    assert not sequential_test.outside_prediction([0.0] * 10, 0.0)  # equal sessions
