"""The sequential test, against simulations, tables of Student's t, SciPy, and wrong rules."""

import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from scipy import stats

from pairbench import sequential_test
from pairbench.permutation_test import p_value
from pairbench.sequential_test import RoundChange, judge_rounds

SPREAD = 0.01


def rounds_of(times):
    """Rounds from the logarithms of the times of head, base and control."""
    return [RoundChange(float(h - b), float(h - c), float(c - b)) for h, b, c in times]


def simulated(seed, count, change=0.0, offset=0.0, spread=SPREAD):
    times = np.random.default_rng(seed).normal(0, spread, (count, 3))
    return rounds_of(times + np.array([change + offset / 2, 0.0, offset]))


def equal_rounds(changes, offset=0.0):
    """Rounds with these changes, and the same offset."""
    return [RoundChange(change + offset / 2, change - offset / 2, offset) for change in changes]


def verdict_of(pairs, threshold=0.05, rows=1):
    """Add rounds until the verdict is decided, and return the judgement."""
    for count in range(len(pairs) + 1):
        judged = judge_rounds(pairs[:count], threshold, rows)
        if judged.decided:
            break
    return judged


def test_each_interim_analysis_has_a_third_more_rounds():
    assert list(islice(sequential_test.analysis_points(), 6)) == [6, 8, 11, 14, 19, 25]
    assert sequential_test.PASS_ROUNDS in islice(sequential_test.analysis_points(), 6)


def test_nothing_is_decided_before_the_first_interim_analysis():
    for count in range(sequential_test.MIN_ROUNDS):
        judged = judge_rounds(simulated(0, count, change=1.0), 0.05, 1)
        assert (judged.verdict, judged.decided, judged.rounds) == ("INCONCLUSIVE", False, count)


def test_contrasts_compare_each_process_with_the_mean_of_the_others():
    (measured,) = rounds_of([(0.5, 0.1, -0.3)])
    assert measured.change == pytest.approx(0.5 - (0.1 - 0.3) / 2)
    assert measured.contrasts == pytest.approx((0.6, 0.1 - (0.5 - 0.3) / 2, -0.3 - (0.5 + 0.1) / 2))


@pytest.mark.parametrize(
    ("change", "threshold", "expected"),
    [(0.0, 0.05, "PASS"), (0.1, 0.05, "FAIL"), (0.05, 0.03, "FAIL"), (-0.2, 0.05, "PASS")],
)
def test_verdicts_on_many_series(change, threshold, expected):
    verdicts = [verdict_of(simulated(seed, 60, math.log1p(change)), threshold).verdict for seed in range(60)]
    assert verdicts.count(expected) >= 58
    opposite = {"PASS": "FAIL", "FAIL": "PASS"}[expected]
    assert verdicts.count(opposite) == 0


def test_a_regression_takes_later_rounds_that_confirm_it():
    high, none = simulated(1, 6, change=0.2), simulated(2, 30)
    suspected = judge_rounds(high, 0.05, 1)
    assert (suspected.verdict, suspected.decided, suspected.confirming_rounds) == ("INCONCLUSIVE", False, 0)
    judged = verdict_of([*high, *none])
    assert (judged.verdict, judged.rounds, judged.confirming_rounds) == ("PASS", 25, 19)
    assert judged.change.mean < 0.05  # the rounds that raised the suspicion do not count
    judged = verdict_of([*high, *simulated(3, 6, change=0.2)])
    assert (judged.verdict, judged.rounds, judged.confirming_rounds) == ("FAIL", 12, 6)


def test_before_two_confirming_rounds_the_figures_are_those_of_the_suspicion():
    suspicious, fresh = simulated(1, 6, change=0.2), equal_rounds([0.11, 0.09, 0.11, 0.09], offset=0.03)
    for count, counted in {0: suspicious, 1: suspicious, 2: fresh[:2], 3: fresh[:3]}.items():
        judged = judge_rounds([*suspicious, *fresh[:count]], 0.05, 1)
        assert (judged.verdict, judged.decided) == ("INCONCLUSIVE", False)
        assert (judged.rounds, judged.confirming_rounds) == (6 + count, count)
        assert judged.change.mean == pytest.approx(np.mean([one.change for one in counted]), rel=1e-9)


# FAIL: a permutation test.


NOISE = {
    "normal": lambda rng, size: rng.normal(0, 0.01, size),
    "Student's t with 1.5 degrees of freedom": lambda rng, size: 0.005 * rng.standard_t(1.5, size),
    "a quarter of the processes 20 % slower": lambda rng, size: (
        rng.normal(0, 0.005, size) + 0.18 * (rng.random(size) < 0.25)
    ),
    "lognormal": lambda rng, size: 0.01 * np.exp(rng.normal(0, 1.5, size)),
}


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISE)
def test_suspicions_keep_their_error_rate_whatever_the_noise(noise):
    """With a threshold of almost zero, the condition on the estimate hardly ever holds a suspicion back."""
    series = NOISE[noise](np.random.default_rng(5), (600, 19, 3))
    suspected = sum(judge_rounds(rounds_of(times), 1e-12, 1).confirming_rounds is not None for times in series)
    alpha = sequential_test.FAIL_ALPHA / sequential_test.CONFIRMATION_ALPHA
    assert stats.binomtest(suspected, len(series), alpha, "greater").pvalue > 0.01
    assert suspected > 0


def test_the_levels_of_all_analyses_and_of_both_stages_add_up_to_alpha(monkeypatch):
    levels = []
    monkeypatch.setattr(sequential_test, "_is_slower", lambda changes, threshold, alpha: levels.append(alpha))
    monkeypatch.setattr(sequential_test, "_is_not_slower", lambda *_: False)
    judge_rounds(simulated(0, 500), 0.05, 10)
    assert levels[:3] == pytest.approx([0.02 / 2, 0.02 / 6, 0.02 / 12])
    assert 0.9 * 0.02 < sum(levels) < 0.02
    assert pytest.approx(0.02 * sequential_test.CONFIRMATION_ALPHA) == sequential_test.FAIL_ALPHA / 10


@pytest.mark.slow
def test_a_rule_that_spends_all_of_alpha_at_each_analysis_errs_too_often():
    """The check of the error rate would notice: the same data, each analysis at the whole level."""
    series = NOISE["normal"](np.random.default_rng(5), (600, 19, 3))
    alpha = sequential_test.FAIL_ALPHA / sequential_test.CONFIRMATION_ALPHA
    greedy = sum(
        any(
            p_value(np.array([one.contrasts for one in rounds_of(times[:count])])) <= alpha
            for count in islice(sequential_test.analysis_points(), 5)
        )
        for times in series
    )
    assert stats.binomtest(greedy, len(series), alpha, "greater").pvalue < 1e-6


def test_more_rows_take_more_evidence():
    pairs = simulated(6, 6, change=0.065, spread=0.03)
    assert judge_rounds(pairs, 0.05, 1).detectable < judge_rounds(pairs, 0.05, 100).detectable
    few, many = (
        sum(judge_rounds(simulated(s, 6, 0.07), 0.05, rows).confirming_rounds == 0 for s in range(100))
        for rows in (1, 1000)
    )
    assert many < few


def test_one_slow_process_neither_causes_nor_prevents_a_fail():
    slower = simulated(7, 6, change=0.08, spread=0.003)
    base_is_slow = replace(slower[2], to_base=slower[2].to_base - 2.0, offset=slower[2].offset - 2.0)
    assert judge_rounds([*slower[:2], base_is_slow, *slower[3:]], 0.05, 1).confirming_rounds == 0
    same = simulated(8, 6, spread=0.003)
    head_is_slow = replace(same[2], to_base=2.0, to_control=2.0)
    assert np.mean([2.0 / 6, 0.0]) > math.log1p(0.05)  # the plain mean of the changes would be above the threshold
    assert judge_rounds([*same[:2], head_is_slow, *same[3:]], 0.05, 1).confirming_rounds is None


def test_a_change_of_exactly_the_threshold_is_no_suspicion():
    threshold = math.expm1(1 / 16)
    assert math.log1p(threshold) == 1 / 16  # so that the mean equals the threshold exactly
    for change, confirming in ((1 / 16, None), (1 / 16 + 1e-9, 0)):
        assert judge_rounds(equal_rounds([change] * 6), threshold, 1).confirming_rounds == confirming


def test_the_typical_change_and_its_error_are_those_of_scipy():
    values = [0.4, -0.1, 0.03, 0.02, 0.05, 0.01, 0.08, -0.3, 0.06, 0.07, 0.2]
    mean, error = sequential_test._trimmed_mean(values)
    assert mean == pytest.approx(stats.trim_mean(values, 0.2))
    cut = int(0.2 * len(values))
    winsorized = np.array(stats.mstats.winsorize(np.array(values), (0.2, 0.2)))
    assert len(set(winsorized)) == len(values) - 2 * cut
    assert error == pytest.approx(winsorized.std(ddof=1) / 0.6 / math.sqrt(len(values)))
    assert judge_rounds(equal_rounds(values), 0.05, 1).typical == pytest.approx(mean)


@pytest.mark.parametrize(("spread", "rows"), [(0.005, 1), (0.03, 1), (0.02, 24)])
def test_the_detectable_effect_is_a_fail_in_about_80_percent(spread, rows):
    """The spread is averaged over many judgements, because a single one only estimates it."""
    count = 19
    detectable = np.mean(
        [judge_rounds(simulated(seed, count, spread=spread), 0.05, rows).detectable for seed in range(200)]
    )
    verdicts = [
        judge_rounds(simulated(seed, count, detectable, spread=spread), 0.05, rows).verdict
        for seed in range(1000, 1200)
    ]
    assert 0.72 < verdicts.count("FAIL") / len(verdicts) < 0.97


@pytest.mark.parametrize("count", [2, 4, 7, 19])
@pytest.mark.parametrize(("spread", "rows"), [(1e-6, 1), (0.3, 1), (0.3, 24)])
def test_the_detectable_effect_takes_both_stages_with_half_of_the_rounds(count, spread, rows):
    values = np.random.default_rng(count).normal(0, spread, count)
    half = max(2, count // 2)
    cut = int(0.2 * count)
    winsorized = np.clip(values, np.sort(values)[cut], np.sort(values)[count - 1 - cut])
    error = winsorized.std(ddof=1) / 0.6 / math.sqrt(count) * math.sqrt(count / half)
    reach = max(math.log1p(0.05), stats.t.isf(0.2 / rows / 2, count - 1) * error)
    assert (reach > math.log1p(0.05)) == (spread == 0.3)
    expected = reach + stats.t.isf(1 - math.sqrt(0.8), count - 1) * error
    assert judge_rounds(equal_rounds(values), 0.05, rows).detectable == pytest.approx(expected)


# PASS: a plain mean and the slow processes.


def test_the_interval_is_students_with_the_alpha_of_its_analysis():
    for count, number in ((2, 1), (19, 1), (24, 1), (25, 2), (34, 3)):
        values = [0.01 * (-1) ** index for index in range(count)]
        judged = judge_rounds(equal_rounds(values), 1e-6, 1)
        half = stats.t.isf(0.025 / (number * (number + 1)), count - 1) * stats.sem(values)
        assert judged.change == pytest.approx((np.mean(values), np.mean(values) - half, np.mean(values) + half))


def test_a_pass_takes_19_rounds_and_an_upper_end_below_the_threshold():
    assert 0.85**19 < 0.05 < 0.85**18  # the probability that no process is slow if 15 % are
    limit = math.log1p(0.05)
    values = np.array([0.01 * (-1) ** index for index in range(18)] + [0.0])
    half = stats.t.isf(0.025 / 2, 18) * stats.sem(values)
    for shift, expected in ((-1e-9, "PASS"), (1e-9, "INCONCLUSIVE")):
        judged = judge_rounds(equal_rounds(values + limit - half + shift), 0.05, 1)
        assert (judged.verdict, judged.decided) == (expected, expected == "PASS")
    assert judge_rounds(equal_rounds(values[:18]), 0.05, 1).verdict == "INCONCLUSIVE"
    # Later rounds change neither a PASS nor its figures.
    passed = equal_rounds(values)
    assert judge_rounds([*passed, *simulated(0, 30, change=1.0)], 0.05, 1) == judge_rounds(passed, 0.05, 1)


def test_a_second_analysis_spends_less():
    values = np.array([0.01 * (-1) ** index for index in range(24)] + [0.0])
    first, second = (stats.t.isf(0.025 / share, 24) * stats.sem(values) for share in (2, 6))
    for distance, expected in ((1.01 * second, "PASS"), ((first + second) / 2, "INCONCLUSIVE")):
        shift = math.log1p(0.05) - distance
        assert judge_rounds(equal_rounds(values[:19] + math.log1p(0.05) - first), 0.05, 1).verdict == "INCONCLUSIVE"
        judged = judge_rounds(equal_rounds(values + shift), 0.05, 1)
        assert (judged.verdict, judged.rounds) == (expected, 25)


@pytest.mark.parametrize(("excess", "verdict"), [(0.12, "PASS"), (0.17, "INCONCLUSIVE")])
def test_one_slow_process_of_the_head_holds_a_pass_back_if_it_may_explain_a_slowdown(excess, verdict):
    times = np.zeros((19, 3))
    times[:, 1:] = np.array([[1e-4, -1e-4]] * 10 + [[-1e-4, 1e-4]] * 9)
    times[7, 0] = excess
    largest_share = stats.binomtest(1, 19).proportion_ci(0.996, "exact").high
    assert (largest_share * excess >= math.log1p(0.05)) == (verdict == "INCONCLUSIVE")
    judged = judge_rounds(rounds_of(times), 0.05, 1)
    assert judged.change.high < math.log1p(0.05)
    assert judged.verdict == verdict
    assert (judged.slow.head, judged.slow.base, judged.slow.rounds) == (1, 0, 19)


def with_slow_processes(rng, count, share, factor):
    times = rng.normal(0, 0.006, (count, 3))
    times[:, 0] += math.log(factor) * (rng.random(count) < share)
    return rounds_of(times)


@pytest.mark.parametrize(("share", "factor"), [(0.25, 1.2), (0.15, 1.5), (0.2, 1.4), (0.5, 1.12)])
def test_slow_processes_of_the_head_alone_do_not_pass(share, factor):
    rng = np.random.default_rng(11)
    verdicts = [judge_rounds(with_slow_processes(rng, 36, share, factor), 0.05, 1).verdict for _ in range(200)]
    assert stats.binomtest(verdicts.count("PASS"), len(verdicts), 0.05, "greater").pvalue > 0.01


@pytest.mark.slow
def test_after_six_rounds_slow_processes_of_the_head_would_pass(monkeypatch):
    rng = np.random.default_rng(11)
    series = [with_slow_processes(rng, 19, 0.25, 1.2) for _ in range(200)]
    assert [judge_rounds(rounds, 0.05, 1).verdict for rounds in series].count("PASS") < 20
    monkeypatch.setattr(sequential_test, "PASS_ROUNDS", 6)
    wrong = [judge_rounds(rounds, 0.05, 1).verdict for rounds in series].count("PASS")
    assert stats.binomtest(wrong, len(series), 0.05, "greater").pvalue < 1e-6


def test_slow_processes_of_all_sides_alike_pass():
    rng = np.random.default_rng(12)
    times = rng.normal(0, 0.006, (100, 36, 3)) + math.log(1.09) * (rng.random((100, 36, 3)) < 0.025)
    verdicts = [judge_rounds(rounds_of(series), 0.05, 1).verdict for series in times]
    assert verdicts.count("PASS") >= 97


def test_the_error_rate_of_pass_at_the_threshold():
    verdicts = [
        judge_rounds(simulated(seed, 36, math.log1p(0.05), spread=0.004), 0.05, 1).verdict for seed in range(300)
    ]
    assert stats.binomtest(verdicts.count("PASS"), len(verdicts), 0.05, "greater").pvalue > 0.01


# The A/A control.


def test_an_offset_of_the_control_changes_no_estimate_but_takes_the_verdict():
    for change in (0.0, 0.08):
        plain = judge_rounds(simulated(4, 40, change, spread=0.004), 0.05, 1)
        for offset in (0.05, -0.05):
            judged = judge_rounds(simulated(4, 40, change, offset, spread=0.004), 0.05, 1)
            assert judged.change.mean == pytest.approx(plain.change.mean, abs=0.002)
            assert (judged.verdict, judged.decided, judged.checkouts_differ) == ("INCONCLUSIVE", True, True)
        assert plain.verdict != "INCONCLUSIVE"


def test_two_equal_checkouts_are_said_to_differ_in_no_more_rows_than_alpha():
    for rows in (1, 10):
        judged = [judge_rounds(simulated(seed, 19), 0.05, rows).checkouts_differ for seed in range(400)]
        assert stats.binomtest(sum(judged), len(judged), 0.01 / rows, "greater").pvalue > 0.01
    offsets = [one.offset for one in simulated(0, 19)]
    half = stats.t.isf(0.01 / 10 / 2, 18) * stats.sem(offsets)
    judged = judge_rounds(simulated(0, 19), 0.05, 10)
    assert judged.offset == pytest.approx((np.mean(offsets), np.mean(offsets) - half, np.mean(offsets) + half))


def test_one_round_has_no_figures():
    judged = judge_rounds(equal_rounds([1.0]), 0.05, 1)
    assert judged == sequential_test.Judgement("INCONCLUSIVE", False, 1, None)
    assert not judged.checkouts_differ
