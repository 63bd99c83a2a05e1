"""Ratios of functions: batches, looks, the time of the loop, and the coverage of the intervals."""

import math
import re
from itertools import takewhile
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.report import paired_coverage
from pairbench import function_ratios
from pairbench.function_ratios import batches, look_confidence, ratio, too_short
from pairbench.function_timer import Reading
from pairbench.sequential_test import analysis_points
from tests.helpers import ROOT


def readings(seconds, empty=20e-9, bare=10e-9):
    """Readings of an arm whose calls take these seconds without the loop."""
    return [Reading(block, 0, "", value + empty, empty, bare) for block, value in enumerate(seconds)]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=500), st.sampled_from([1, 3, 17]))
def test_batches_are_equal_odd_and_hold_the_last_values_in_order(values, smallest):
    found = batches(values, smallest)
    (size,) = {len(batch) for batch in found}
    assert size == len(values) or (size % 2 == 1 and size >= smallest)
    joined = [value for batch in found for value in batch]
    assert joined == values[len(values) - len(joined) :]
    assert len(values) - len(joined) < size
    assert len(found) >= min(len(values) // smallest, function_ratios.BATCHES)


@given(st.floats(1e-5, 10))
def test_a_batch_lasts_as_long_as_a_disturbance(seconds):
    size = function_ratios.smallest_batch(seconds)
    assert size % 2 == 1
    assert size * seconds >= function_ratios.BATCH_SECONDS * (1 - 1e-9)
    assert size == 1 or (size - 2) * seconds <= function_ratios.BATCH_SECONDS * (1 + 1e-9)


@pytest.mark.parametrize("smallest", [1, 3, 17])
def test_every_look_has_an_interval_without_assumptions_on_the_distribution(smallest):
    """The smallest and the largest of n values miss the median with a probability of 2^(1 - n)."""
    points = takewhile(lambda point: point < 10**5, analysis_points(function_ratios.FIRST_LOOK))
    for look, point in enumerate(points, 1):
        replicates = len(batches([0.0] * (point * smallest), smallest))
        assert 2 * stats.binom.cdf(0, replicates, 0.5) <= 1 - look_confidence(look)


def test_the_error_probabilities_of_all_looks_add_up_to_five_percent():
    spent = [1 - look_confidence(look) for look in range(1, 100_000)]
    assert sum(spent) == pytest.approx(0.05, rel=1e-4)
    assert sum(spent) < 0.05


def test_a_ratio_is_the_median_of_paired_ratios():
    random = np.random.default_rng(0)
    drift = np.exp(np.linspace(0, 2, 15))  # the machine becomes slower, and both arms with it
    samples = {
        "reference": readings(2e-3 * drift * random.lognormal(0, 0.01, 15), 0, 0),
        "numpy": readings(1e-3 * drift, 0, 0),
    }
    found = ratio([samples], "reference", "numpy")
    values = [a.gross / b.gross for a, b in zip(samples["reference"], samples["numpy"], strict=True)]
    assert found.estimate == pytest.approx(median(values))
    # Order statistics by the binomial distribution: with 15 values, from the 4th smallest to the 4th largest.
    k = int(stats.binom.ppf(0.025, 15, 0.5))
    assert (found.low, found.high) == pytest.approx((sorted(values)[k - 1], sorted(values)[-k]))
    assert found.high / found.low < 1.05


def test_several_processes_count_once_each():
    processes = [
        {"reference": readings([value] * 30, 0, 0), "numpy": readings([1e-3] * 30, 0, 0)}
        for value in (1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 9e-3)
    ]
    found = ratio(processes, "reference", "numpy")
    assert (found.estimate, found.low, found.high) == pytest.approx((math.sqrt(12), 1, 9))


def test_only_common_blocks_count_and_one_block_gives_no_interval():
    samples = {"reference": readings([1.0, 2.0, 3.0]), "numpy": readings([1.0])}
    found = ratio([samples], "reference", "numpy")
    assert (found.low, found.high) == (None, None)
    assert ratio([samples], "reference", "missing") is None
    assert ratio([], "reference", "numpy") is None


def test_the_interval_holds_whatever_part_of_an_empty_call_belongs_to_the_loop():
    """Calls of 130 and 70 ns with a loop of 10 to 30 ns: the ratio lies between 120/60 and 100/40."""
    samples = {
        "reference": [Reading(block, 0, "", 130e-9, 30e-9, 10e-9) for block in range(40)],
        "numpy": [Reading(block, 1, "", 70e-9, 30e-9, 10e-9) for block in range(40)],
    }
    found = ratio([samples], "reference", "numpy")
    assert (found.low, found.high) == pytest.approx((2.0, 2.5))


@pytest.mark.parametrize(
    ("own", "spread", "tells"), [(50e-9, 1e-9, True), (2e-9, 1e-9, False), (0, 1e-9, False), (10e-9, 60e-9, False)]
)
def test_nothing_is_told_about_a_time_that_the_loop_hides(own, spread, tells):
    values = np.random.default_rng(0).normal(own, spread, 60)
    reason = too_short([{"f": readings(values)}], "f")
    assert (reason == "") is tells
    if not tells:
        assert "too short to time" in reason
        assert "20 ns" in reason


def simultaneous(draw, spending, runs=200):
    blocks = paired_coverage.BATCH * 40
    values = draw(np.random.default_rng(2), (runs, blocks)).tolist()
    return sum(paired_coverage.looks(run, spending) for run in values) / runs


def test_all_looks_together_contain_the_true_ratio():
    for name in ("independent, normal", "skewed (lognormal, σ = 1)", "correlated, 0.5 from block to block"):
        assert simultaneous(paired_coverage.DISTRIBUTIONS[name], spending=True) > 0.93, name


def test_an_interval_that_forgets_alpha_spending_misses_the_true_ratio_too_often():
    noise = paired_coverage.DISTRIBUTIONS["correlated, 0.5 from block to block"]
    assert simultaneous(noise, spending=False) < 0.93


def test_an_interval_over_single_blocks_is_too_narrow_for_correlated_blocks():
    """What the batches are for: without them, the interval covers far less than it says."""
    values = paired_coverage.correlated(0.9, np.random.default_rng(0), (200, 60 * paired_coverage.BATCH)).tolist()
    batched = [paired_coverage.within(run) for run in values]
    single = [function_ratios.ratio_interval([[value] for value in run]) for run in values]
    covered = [sum(found.low <= 1 <= found.high for found in kind) / 200 for kind in (batched, single)]
    assert covered[0] > 0.88
    assert covered[1] < 0.6


def test_the_correlated_noise_is_correlated_and_keeps_its_spread():
    values = paired_coverage.correlated(0.9, np.random.default_rng(0), (500, 200))
    assert values.std() == pytest.approx(paired_coverage.NOISE, rel=0.05)
    assert np.corrcoef(values[:, :-1].ravel(), values[:, 1:].ravel())[0, 1] == pytest.approx(0.9, abs=0.02)
    assert values[:, 0].std() == pytest.approx(values[:, -1].std(), rel=0.15)


def test_the_simulation_gives_the_same_table_for_the_same_seed(monkeypatch, capsys):
    monkeypatch.setattr(paired_coverage, "RUNS", 4)
    monkeypatch.setattr(paired_coverage, "RUN_BATCHES", (2, 3))
    tables = []
    for seed in ("1", "1", "2"):
        assert paired_coverage.main([seed]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]
    assert all(name in tables[0] for name in paired_coverage.DISTRIBUTIONS)
    with pytest.raises(SystemExit, match="2"):
        paired_coverage.main(["-1"])


@pytest.mark.slow
def test_the_documentation_shows_the_coverage_of_this_version(monkeypatch):
    monkeypatch.setattr(paired_coverage, "RUNS", 200)
    page = (ROOT / "docs" / "your-own-functions.md").read_text(encoding="utf-8")
    name = "correlated, 0.9 from block to block"
    (cells,) = re.findall(rf"^\| {re.escape(name)} \|(.+)\|$", page, re.MULTILINE)
    found = [*map(float, paired_coverage.row(paired_coverage.DISTRIBUTIONS[name], 1))]
    assert found == pytest.approx([*map(float, cells.split("|"))], abs=9)
