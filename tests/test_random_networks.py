"""Random networks: what is drawn, how they are timed, and the picture."""

import re
from itertools import islice
from random import Random

import pytest

from bench.cases import Case
from bench.proof.problems import draw_problem
from bench.report import random_networks_picture
from bench.report.random_networks_picture import main
from bench.speed import random_networks
from bench.speed.random_networks import MAX_BATCH, MAX_WIDTH, RandomCase, measure, random_problems
from impls import Network
from pairbench.statistics import Interval


def test_the_same_seed_draws_the_same_cases_of_every_kind():
    cases, again = ([case for case, _ in islice(random_problems(Random(3)), 40)] for _ in range(2))
    assert cases == again
    assert {case.operation for case in cases} == {"forward", "gradient", "train"}
    assert {case.dtype for case in cases} == {"float64", "float32"}
    assert len({len(case.network.layer_sizes) for case in cases}) > 4
    assert max(case.batch for case in cases) in range(MAX_BATCH // 8, MAX_BATCH + 1)
    assert max(max(case.network.layer_sizes) for case in cases) in range(MAX_WIDTH // 4, MAX_WIDTH + 1)


@pytest.mark.parametrize("backends", [("numpy_vectorized", "python_loops"), ("python_loops", "numpy_vectorized")])
def test_the_first_backend_is_divided_by_the_second(monkeypatch, backends):
    monkeypatch.setattr(random_networks, "BACKENDS", backends)
    case = Case(Network((20, 20, 5)), "forward", 10)
    row = measure(case, draw_problem(case.network, 10), Random(0))
    assert row.is_slower == (backends[1] == "python_loops")
    assert row.ratio.low < row.ratio.estimate < row.ratio.high
    assert (row.ratio.estimate < 0.5) == row.is_slower


def test_the_slowest_case_comes_first_and_the_picture_is_drawn(monkeypatch, tmp_path, capsys):
    ratios = iter([1.5, 0.8, 1.1])

    def measured(case, problem, random):
        ratio = next(ratios)
        return RandomCase(case, Interval(ratio, ratio - 0.15, ratio + 0.15))

    monkeypatch.setattr(random_networks_picture.random_networks, "measure", measured)
    assert main(["5", "3", str(tmp_path / "pictures")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r" *([\d.]+) \[", line)[1] for line in lines[:3]] == ["0.80", "1.10", "1.50"]
    assert lines[3] == "2 of 3 cases are not slower, beyond the interval"
    picture = (tmp_path / "pictures" / "random_networks.svg").read_text()
    assert "numpy_vectorized ÷ time of numba_simd" in picture
    assert "mathdefault" not in picture


def test_bad_input_gets_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["1", "1", str(tmp_path / "file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    with pytest.raises(SystemExit, match="2"):
        main(["1", "0", str(tmp_path)])
    assert "count must be 1 or more, got 0" in capsys.readouterr().err
