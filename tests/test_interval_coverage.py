"""The simulation of the intervals' coverage, its tables in the documentation, and what the output says of intervals."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_ind

from bench.gate.recording import ARMS, Calibration, Recording
from bench.records.schema import Comparison
from bench.report import contents, interval_coverage, markdown, terminal
from bench.report.interval_coverage import SIMULATED, coverage, half_width, main, one_sample, recorded, two_samples
from pairbench.statistics import Interval
from tests import page_documents
from tests.helpers import timing_row

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "measuring.md").read_text(encoding="utf-8")
RECORDINGS = [str(ROOT / "results" / "gate" / name) for name in ("idle.npz", "loaded.npz")]


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(interval_coverage, "RUNS", 20)
    monkeypatch.setattr(interval_coverage, "TRUTH_DRAWS", 1000)


@pytest.mark.usefixtures("few")
def test_the_same_seed_gives_the_same_tables(capsys):
    tables = []
    for seed in ("1", "1", "2"):
        assert main([seed, *RECORDINGS]) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1] != tables[2]
    names = re.findall(r"^\| ([^|]+) \|", tables[0], re.MULTILINE)
    assert {*SIMULATED, "loaded: two arms of a process"} <= set(names)
    assert {"within one run", "between two runs"} <= set(names)


def test_bad_input_gets_one_line(tmp_path, capsys):
    assert main(["1", str(tmp_path / "nothing.npz")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(SystemExit, match="2"):
        main(["-1"])
    assert "seed must be 0 or more, got -1" in capsys.readouterr().err


def test_the_intervals_beside_ours_are_those_of_scipy():
    random = np.random.default_rng(0)
    a, b = (random.normal(size=size).tolist() for size in (5, 9))
    for found, expected in (
        (interval_coverage.student(a), ttest_1samp(a, 0)),
        (interval_coverage.welch(a, b), ttest_ind(a, b, equal_var=False)),
    ):
        ends = expected.confidence_interval(0.95)
        assert (math.log(found.low), math.log(found.high)) == pytest.approx((ends.low, ends.high))


def test_coverage_and_half_width_are_in_percent():
    intervals = [Interval(1.0, math.exp(-0.01), math.exp(0.03)), Interval(1.0, math.exp(0.01), math.exp(0.03))]
    assert coverage(intervals, 0.0) == "50.0"
    assert coverage(intervals, 0.02) == "100.0"
    assert half_width(intervals) == "1.5"


@pytest.mark.parametrize(
    ("name", "mean", "large"),
    [
        ("normal", 0, 0),
        ("10 % of the numerators slow", 0.1 * 0.09, 0.1),
        ("25 % of each side slow", 0, 2 * 0.25 * 0.75),
        ("lognormal, σ = 1", 0.01 * math.exp(0.5), None),
    ],
)
def test_distributions_have_the_shares_and_means_that_their_names_say(name, mean, large):
    values = SIMULATED[name](np.random.default_rng(0), (1000, 1000))
    assert values.mean() == pytest.approx(mean, abs=2e-4)
    if large is not None:
        assert (abs(values) > 0.05).mean() == pytest.approx(large, abs=2e-3)


def test_recorded_processes_are_compared_with_others_of_the_process_of_the_round_and_of_the_time():
    seconds = np.ones((40, len(ARMS), 30), np.float32)
    seconds *= np.linspace(1, 2, 40)[:, None, None]  # the machine becomes slower
    seconds[:, ARMS.index("head +5%")] *= 1.05
    seconds[30, [ARMS.index("head"), ARMS.index("head +5%")]] *= 1.1  # a slow process, with both of its arms
    draws = recorded("name", Recording(seconds, {}, Calibration(1, (1, 2, 3, 4)), 1.0))
    values = {name: draw(np.random.default_rng(0), (1, 5000)) for name, draw in draws.items()}
    one, two, around = values.values()
    assert [*values] == [
        "name: two arms of a process",
        "name: arms of two processes",
        "name: a process ÷ the processes around",
    ]
    assert one == pytest.approx(math.log(1.05), abs=1e-6)
    assert two.max() == pytest.approx(math.log(1.1), abs=1e-6)
    assert np.median(two) == pytest.approx(0, abs=1e-6)
    assert (two > 0.05).mean() == pytest.approx(1 / 40, abs=0.01)
    assert 0.05 < around.max() < 0.15


def row_of(name):
    """The numbers of a row of the documentation; only "normal" is in both tables."""
    (cells,) = re.findall(rf"^\| {re.escape(name)} \|(.+)\|$", PAGE, re.MULTILINE)
    return [float(cell) for cell in cells.split("|")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["10 % of the numerators slow", "lognormal, σ = 1"])
def test_the_documentation_shows_the_coverage_of_this_version(name):
    found = [*map(float, one_sample(SIMULATED[name], 1))]
    assert found == pytest.approx(row_of(name), abs=2)
    assert all(covered > 93 for covered in found[2:6])
    assert max(found[:2]) < 90
    draws = SIMULATED[name], SIMULATED["normal"]
    found = [*map(float, two_samples(draws, 1))]
    assert found == pytest.approx(row_of(f"{name}, in the first run alone"), abs=2)
    assert all(covered > 93 for covered in found[2:4])


def test_in_the_documentation_every_distribution_is_covered_in_93_percent():
    section = PAGE.partition("## Intervals and their coverage")[2].partition("\n## ")[0]
    names = re.findall(r"^\| ([^|]+) (?:\| [\d.]+ ){6,}\|$", section, re.MULTILINE)
    assert set(SIMULATED) < set(names)
    assert len(names) == 27
    for name in {*names} - {"normal", "50 % of the numerators slow"}:
        values = row_of(name)
        assert all(covered >= 93 for covered in (values[2:6] if len(values) == 10 else values[2:4])), name


def comparison():
    rows = [timing_row(arm=name, backend=name) for name in ("numpy_plain", "graph")]
    fields = {"options": {"a": "numpy_plain", "b": "graph"}, "effort": {}, "seed": 1, "rows": rows, "processes": []}
    return Comparison(**page_documents.header("compare"), **fields)


@pytest.mark.parametrize("document", [page_documents.run(roofline=[]), page_documents.scale(), comparison()])
def test_the_output_says_that_an_interval_holds_within_the_run(document):
    sentence = "An interval is for the median over the processes, within this run:"
    shown = contents.contents(document)
    for text in (terminal.rendered(*shown), markdown.page(shown)):
        assert " ".join(text.split()).count(sentence) == 1
