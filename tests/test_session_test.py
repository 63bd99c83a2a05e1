"""The test of a session, against SciPy and tables of Student's t."""

import math
from dataclasses import astuple

import numpy as np
import pytest
from scipy import stats

from pairbench import session_test
from pairbench.session_test import judge_session

HISTORY = [math.log(9.0) + value for value in (0.01, -0.01, 0.02, 0.0, 0.01, -0.03, 0.0, 0.01, -0.01, 0.0)]


def quantile(count, alpha):
    return float(stats.t.isf(alpha, count - 1))


def test_a_session_is_judged_by_the_prediction_interval_of_the_history():
    mean, spread = np.mean(HISTORY), np.std(HISTORY, ddof=1)
    judged = judge_session(HISTORY, mean - 0.2, 0.05, 0.01)
    half = 1.833113 * spread * math.sqrt(1.1)  # the 95 % quantile of 9 degrees of freedom, from a table
    assert judged.verdict == "FAIL"
    assert judged.estimate == pytest.approx(0.2)
    assert judged.high - judged.estimate == pytest.approx(half, rel=1e-5)
    assert judge_session(HISTORY, mean, 0.05, 0.01).verdict == "PASS"
    assert judge_session(HISTORY, mean + 0.5, 0.05, 0.01).verdict == "PASS"
    assert judge_session(HISTORY, mean - 0.045, 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(HISTORY[:9], mean - 1, 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(HISTORY[:9], mean - 1, 0.05, 0.01).detectable > 0.05
    assert judge_session(HISTORY[:1], mean, 0.05, 0.01).detectable is None


def test_a_widely_spread_history_is_inconclusive():
    history = [math.log(9.0) + value for value in np.random.default_rng(7).normal(0, 0.2, 12)]
    assert judge_session(history, float(np.mean(history)), 0.05, 0.01).verdict == "INCONCLUSIVE"
    assert judge_session(history, float(np.mean(history)) - 0.3, 0.05, 0.01).verdict == "INCONCLUSIVE"


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
    assert judged[:2] == (verdict, 10)
    assert judged[2:5] == pytest.approx((drop, drop - half, drop + half), rel=1e-9)
    assert judged[5] == pytest.approx(reach + quantile(10, 0.2) * error, rel=1e-9)


def test_two_sessions_have_figures_and_one_has_none():
    assert astuple(judge_session(HISTORY[:1], 0.0, 0.05, 0.01)) == ("INCONCLUSIVE", 1, *[None] * 4)
    half = quantile(2, 0.05) * np.std(HISTORY[:2], ddof=1) * math.sqrt(1.5)
    judged = astuple(judge_session(HISTORY[:2], math.log(9.0), 0.05, 0.01))
    assert judged[:5] == ("INCONCLUSIVE", 2, *(pytest.approx(v, abs=1e-9) for v in (0.0, -half, half)))


def test_a_session_slower_by_exactly_the_threshold_is_inconclusive():
    threshold = math.expm1(1 / 16)
    assert judge_session([0.0] * 10, -1 / 16, threshold, 0.01).verdict == "INCONCLUSIVE"


def test_the_prediction_interval_has_its_ends_where_a_table_says():
    mean, spread = float(np.mean(HISTORY)), float(np.std(HISTORY, ddof=1))
    half = 2.262157 * spread * math.sqrt(1.1)  # the 97.5 % quantile of 9 degrees of freedom
    for sign in (1, -1):
        assert not session_test.outside_prediction(HISTORY, mean + sign * 0.9999 * half)
        assert session_test.outside_prediction(HISTORY, mean + sign * 1.0001 * half)
    assert not session_test.outside_prediction([0.0] * 10, 0.0)  # equal sessions
