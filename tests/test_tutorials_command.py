"""The command ``tutorials``."""

import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from bench.cli.main import main
from bench.commands import tutorials as command
from bench.records import files, tutorial_schema
from bench.tutorials import circles, datasets, miniflow, registry, reproduce
from bench.tutorials.programs import Figure
from tests.helpers import ONE_PROCESS, one_line_error, python
from tests.test_csv_rows import csv_errors

pytestmark = pytest.mark.slow


@pytest.fixture
def quick(empty_folder, monkeypatch):
    monkeypatch.setattr(command, "QUICK_EFFORT", ONE_PROCESS)


@pytest.mark.usefixtures("quick")
def test_the_table_and_the_json(capsys, monkeypatch):
    monkeypatch.setattr(reproduce, "COMPARISON_BACKEND", "numba_simd")  # NumPy takes long for all seeds
    assert main(["tutorials", "circles", "xor", "--json", "all.json", "--backend", "graph"]) == 0
    out, err = capsys.readouterr()
    assert "mlpbench: circles: training, 150 full-batch epochs" in err
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "backends: numba_simd, graph"
    assert any(
        line.split() == ["iteration", "146:", "loss", "697.97739669", "697.97739669", "all", "yes"] for line in lines
    )
    assert any('The rate called "0.005" is 0.01 for weights and 0.00001 for biases' in line for line in lines)
    assert lines[-2:] == ["printed figures: 23 of 23 reproduced", "figures of rewrites: 4 of 4 reproduced"]
    document = files.read(Path("all.json"), tutorial_schema.Tutorials)
    assert {(row.document, row.backend) for row in document.rows} == {
        ("circles", "numba_simd"),
        ("circles", "graph"),
        ("xor", "numba_simd"),
        ("xor", "graph"),
        ("xor", None),
    }
    row = json.loads(Path("all.json").read_text())["rows"][0]
    assert {"document", "figure", "printed", "backend", "value", "ok"} <= set(row)
    fields = {"settings": {}, "started": "", "done": [], "unsupported": []}
    state = tutorial_schema.TutorialsState(**fields, rows=document.rows, remarks=document.remarks)
    monkeypatch.setattr(command.resumable, "reproduce_tutorials", lambda *_: state)
    assert main(["tutorials", "circles", "xor", "--backend", "graph", "--format", "csv"]) == 0
    assert csv_errors(document, capsys.readouterr().out) == []


@pytest.mark.usefixtures("quick")
def test_a_figure_that_is_not_reproduced_is_a_finding(capsys, monkeypatch):
    (program,) = circles.TUTORIAL.parts
    wrong = Figure("iteration 1: loss", "693.62166656", program.figures[2].value, seeds=program.seeds)
    monkeypatch.setattr(
        registry, "select_tutorials", lambda *_: [replace(circles.TUTORIAL, parts=[replace(program, figures=[wrong])])]
    )
    assert main(["tutorials", "circles", "--backend", "graph"]) == 1
    out, _ = capsys.readouterr()
    assert re.search(r"iteration 1: loss +693.62166656 +693.6216665\d+ +all +NO +$", out, re.MULTILINE)
    assert "printed figures: 0 of 1 reproduced" in out
    assert "not equal: circles, training, 150 full-batch epochs: iteration 1: loss: numpy_vectorized, graph" in out


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["tolstoy"], "no tutorial has the key 'tolstoy'; the keys are feedforward, circles, miniflow, xor"),
        (["xor", "--backend", "abacus"], "no backend is named 'abacus'"),
        (["xor", "--json", "no/where.json"], "there is no folder no"),
        (["xor", "--pictures", ""], "--pictures needs the name of a folder"),
        (["xor", "--boston"], "--boston needs miniflow, which is not among the named tutorials"),
        (["xor", "--pictures", "a.file"], "a.file is a file; name a folder for --pictures"),
        (
            ["miniflow", "--boston"],
            "cannot be fetched from openml.org (URLError: <urlopen error no network>); leave out",
        ),
    ],
)
def test_bad_input_is_one_line(capsys, monkeypatch, arguments, text):
    def offline(*arguments, **options):
        raise URLError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_openml", offline)
    datasets.boston.cache_clear()
    Path("a.file").touch()
    assert text in one_line_error(capsys, "tutorials", *arguments)


@pytest.mark.usefixtures("quick")
def test_boston_house_prices_are_fetched(capsys, monkeypatch):
    random = np.random.default_rng(0)
    data = random.normal(size=(506, 13)), random.normal(22, 9, size=506)
    monkeypatch.setattr("sklearn.datasets.fetch_openml", lambda name, **options: data)
    datasets.boston.cache_clear()
    assert main(["tutorials", "miniflow", "--boston", "--backend", "graph"]) == 0
    assert "SGD, 13-10-1 on Boston, batches of 11, 100 epochs" in capsys.readouterr().out
    assert miniflow.regression(datasets.boston)(0).batches.shape == (100, 46, 11)
    datasets.boston.cache_clear()


def main_without(missing):
    """Python code that runs the command line as if the library were not installed."""
    return f"import sys; sys.modules[{missing!r}] = None; from bench.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.slow
def test_pictures_without_their_library(tmp_path):
    arguments = ("tutorials", "xor", "--backend", "graph", "--pictures", tmp_path)
    done = python("-c", main_without("matplotlib"), *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "mlpbench: pictures need matplotlib, which is not installed: pip install -c constraints.txt -e '.[report]'"
    ]
