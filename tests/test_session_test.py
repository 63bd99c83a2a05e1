"""The test of a session, against SciPy, tables of Student's t, and simulated sessions."""

import math

import numpy as np
import pytest
from scipy import stats

from pairbench import session_test
from pairbench.session_test import History, certain_gain, certain_loss, judge_session, levels, pair_quantile

VALUES = [math.log(9.0) + value for value in (0.01, -0.01, 0.02, 0.0, 0.01, -0.03, 0.0, 0.01, -0.01, 0.0)]
MEAN, SPREAD = float(np.mean(VALUES)), float(np.std(VALUES, ddof=1))
ERROR = SPREAD * math.sqrt(1.1)


def judged(now, other=None, values=VALUES, threshold=0.05, rows=1, **history):
    return judge_session(History(values, **history), now, other, threshold, rows)


def sessions(*drops, count=12, seed=0, noise=0.01):
    """Sessions in runs of ``count``, each at a level that lies ``drop`` below the first."""
    random = np.random.default_rng(seed)
    return [float(random.normal(-drop, noise)) for drop in drops for _ in range(count)]


@pytest.mark.parametrize(("freedom", "sessions"), [(9, 10), (3, 2), (59, 40)])
def test_the_probability_that_two_sessions_exceed_a_limit_is_that_of_simulated_ones(freedom, sessions):
    random, runs = np.random.default_rng(1), 400_000
    spread = np.sqrt(random.chisquare(freedom, runs) / freedom) * math.sqrt(1 + 1 / sessions)
    mean = random.normal(0, 1 / math.sqrt(sessions), runs)
    lesser = random.normal(0, 1, (2, runs)).min(0) - mean
    for limit in (0.5, 1.5, 2.5):
        share = np.mean(lesser > limit * spread)
        found = session_test.both_exceed(limit, freedom, 1 / (sessions + 1))
        assert found == pytest.approx(share, abs=5 * math.sqrt(found / runs))


def test_the_probability_for_two_sessions_is_that_of_scipy():
    shape = [[1, 1 / 11], [1 / 11, 1]]
    expected = stats.multivariate_t(shape=shape, df=9, seed=0).cdf([-1.7, -1.7], maxpts=200_000)
    assert session_test.both_exceed(1.7, 9, 1 / 11) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("alpha", [0.2, 0.01, 1e-6])
@pytest.mark.parametrize(("sessions", "freedom"), [(10, 9), (2, 1), (1000, 999)])
def test_the_quantile_inverts_the_probability(sessions, freedom, alpha):
    quantile = pair_quantile(sessions, freedom, alpha)
    assert session_test.both_exceed(quantile, freedom, 1 / (sessions + 1)) == pytest.approx(alpha, rel=1e-9)
    assert stats.norm.isf(math.sqrt(alpha)) < quantile < stats.t.isf(alpha, freedom)


def test_a_regression_needs_two_sessions():
    low = MEAN - 0.2
    alone = judged(low)
    assert (alone.verdict, alone.suspected, alone.sessions) == ("INCONCLUSIVE", True, 10)
    assert judged(low, MEAN).verdict == "INCONCLUSIVE"
    assert judged(MEAN, low).verdict == "PASS"
    both = judged(low, MEAN - 0.15)
    assert (both.verdict, both.suspected) == ("FAIL", True)
    assert judged(low, low, VALUES[:9]).verdict == "INCONCLUSIVE"
    assert not judged(low, low, VALUES[:9]).suspected


def test_the_figures_of_a_session():
    half = 1.833113 * ERROR  # the 95 % quantile of 9 degrees of freedom, from a table
    found = judged(MEAN - 0.01)
    assert found.verdict == "PASS"
    figures = (found.estimate, found.low, found.high)
    assert figures == pytest.approx((0.01, 0.01 - half, 0.01 + half), rel=1e-5)
    assert judged(MEAN + 0.5).verdict == "PASS"
    assert judged(MEAN - 0.045).verdict == "INCONCLUSIVE"
    # With a large threshold, the threshold is what must be exceeded. Else it is the limit for two sessions.
    quantile = stats.t.isf(1 - math.sqrt(0.8), 9)
    assert judged(MEAN, threshold=1.0).detectable == pytest.approx(math.log(2) + quantile * ERROR)
    limit = pair_quantile(10, 9, 0.01 / 50 / 24 / 2) * ERROR
    assert judged(MEAN, threshold=0.01, rows=24).detectable == pytest.approx(limit + quantile * ERROR)


@pytest.mark.parametrize(("share", "verdict"), [(0.999, "INCONCLUSIVE"), (1.001, "FAIL")])
def test_both_sessions_must_exceed_both_limits(share, verdict):
    limit = pair_quantile(10, 9, 0.01 / 50 / 24 / 2) * ERROR
    assert judged(MEAN - 2 * limit, MEAN - share * limit, threshold=0.01, rows=24).verdict == verdict
    assert judged(MEAN - share * limit, MEAN - 2 * limit, threshold=0.01, rows=24).verdict == verdict
    assert judged(MEAN - 1, MEAN - share * math.log(1.5), threshold=0.5).verdict == verdict


def test_few_sessions_have_figures_and_one_has_none():
    assert judged(0.0, values=VALUES[:1]).estimate is None
    assert judged(0.0, values=[]).sessions == 0
    half = 6.313752 * np.std(VALUES[:2], ddof=1) * math.sqrt(1.5)  # the 95 % quantile of one degree of freedom
    found = judged(math.log(9.0), values=VALUES[:2])
    assert (found.verdict, found.low, found.high) == ("INCONCLUSIVE", pytest.approx(-half), pytest.approx(half))


def test_equal_sessions_are_judged_by_the_threshold_alone():
    threshold = math.expm1(1 / 16)
    assert judged(-1 / 16, -1 / 16, [0.0] * 10, threshold).verdict == "INCONCLUSIVE"
    assert judged(-1 / 15, -1 / 15, [0.0] * 10, threshold).verdict == "FAIL"


def test_a_slow_decline_fails_by_the_anchor_alone():
    """Each session is one percent slower than the one before, so no session is far below those just before it."""
    values = sessions(*[0.01 * step for step in range(28)], count=1)
    found = judged(-0.28, -0.27, values)
    assert (found.verdict, found.level.name, found.level.positions) == ("FAIL", "anchor", range(10))


def test_a_lost_gain_fails_by_the_window_alone():
    values = sessions(0.0, -0.2)
    anchor, window = levels(History(values))
    assert (window.positions, window.name) == (range(12, 24), "window")
    assert window.mean - anchor.mean == pytest.approx(0.2, abs=0.02)
    found = judged(0.0, 0.0, values)
    assert (found.verdict, found.level) == ("FAIL", window)
    # However long the loss lasts, the window ends where it begins.
    assert judged(0.0, 0.0, [*values, *sessions(0.0, 0.0, seed=1)]).verdict == "FAIL"
    assert judged(0.2, 0.2, values).verdict == "PASS"


def test_the_first_sessions_of_a_loss_do_not_hide_the_next():
    """A few of them would multiply the spread, and the limit, if they were taken for noise."""
    for count in range(8):
        low = [MEAN - 0.2 + 0.005 * (-1) ** step for step in range(count + 2)]
        assert judged(low[-1], low[-2], [*VALUES, *low[:count]], rows=24).verdict == "FAIL", count


def test_an_outlier_is_no_window_and_no_end_of_one():
    values = sessions(0.0, 0.0, 0.0)
    values[18] -= 0.05
    assert levels(History(values))[1].positions == range(36)


def test_what_was_accepted_moves_the_anchor_and_a_loss_begins_a_new_window():
    values = sessions(0.0, -0.2)
    anchor, window = levels(History(values, accepted=0.15))
    assert anchor.mean == pytest.approx(np.mean(values[:10]) + 0.15)
    assert window.mean == pytest.approx(np.mean(values[12:]))
    assert judged(0.0, 0.0, values, accepted=-0.2, begin=24).level.name == "anchor"
    assert judged(0.0, 0.0, values, accepted=-0.2, begin=24).verdict == "PASS"
    later = [*values, *sessions(0.3, seed=4)]
    assert levels(History(later, accepted=-0.3, begin=24))[1].positions == range(24, 36)
    assert levels(History(values, begin=13))[1].positions == range(13, 24)


def test_a_gain_needs_two_sessions_and_is_accepted_to_its_lower_bound():
    history = History(VALUES)
    assert certain_gain(history, MEAN + 0.2, None, 1) is None
    assert certain_gain(history, MEAN + 0.2, MEAN, 1) is None
    assert certain_gain(history, MEAN, MEAN + 0.2, 1) is None
    assert certain_gain(History(VALUES[:9]), MEAN + 0.2, MEAN + 0.2, 1) is None
    limit = pair_quantile(10, 9, 0.01 / 24) * ERROR
    assert certain_gain(history, MEAN + 0.2, MEAN + 0.25, 24) == pytest.approx(0.2 - limit)
    assert certain_gain(history, MEAN + limit + 0.0099, MEAN + 0.3, 24) is None  # log(1.01) = 0.00995
    assert certain_gain(history, MEAN + limit + 0.01, MEAN + 0.3, 24) == pytest.approx(0.01)
    assert certain_gain(History(VALUES, accepted=0.1), MEAN + 0.2, MEAN + 0.2, 24) == pytest.approx(0.1 - limit)


def test_a_loss_needs_two_sessions_and_is_accepted_to_its_mean():
    history = History(VALUES)
    assert certain_loss(history, MEAN - 0.2, None, 1) is None
    assert certain_loss(history, MEAN - 0.2, MEAN, 1) is None
    assert certain_loss(history, MEAN + 0.2, MEAN + 0.2, 1) is None
    assert certain_loss(History(VALUES[:9]), MEAN - 0.2, MEAN - 0.2, 1) is None
    assert certain_loss(history, MEAN - 0.2, MEAN - 0.3, 24) == pytest.approx(-0.25)
    limit = pair_quantile(10, 9, 0.01 / 24 / 2) * ERROR
    assert certain_loss(history, MEAN - limit - 0.0099, MEAN - 0.3, 24) is None
    assert certain_loss(history, MEAN - limit - 0.01, MEAN - 0.3, 24) < 0
    gained = History(sessions(0.0, -0.2))  # a gain that was never accepted, and is lost in part
    assert certain_loss(gained, 0.1, 0.1, 1) == 0


def test_the_prediction_interval_has_its_ends_where_a_table_says():
    half = 2.262157 * ERROR  # the 97.5 % quantile of 9 degrees of freedom
    for sign in (1, -1):
        assert not session_test.outside_prediction(VALUES, MEAN + sign * 0.9999 * half)
        assert session_test.outside_prediction(VALUES, MEAN + sign * 1.0001 * half)
    assert not session_test.outside_prediction([0.0] * 10, 0.0)  # equal sessions
