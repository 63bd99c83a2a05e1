"""The programs of the tutorials: every printed figure is reproduced, and planted errors are detected."""

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

import impls
from bench.tutorials import feedforward, quartic, registry, reproduce, xor
from bench.tutorials.programs import Program
from impls import Backend, numpy_plain
from pairbench.progress import NoProgress
from tests.helpers import ROOT, TINY

NETWORK_PARTS = ("Linear", "Sigmoid(Linear)", "product of two matrices")
BACKENDS = ("python_loops", "numpy_vectorized", "numba_simd", "graph")
TUTORIALS = registry.select_tutorials()
FIGURES = [
    (tutorial.key, part.name, figure.name, figure.source)
    for tutorial in TUTORIALS
    for part in tutorial.parts
    for figure in part.figures
]


def with_short_budget(tutorial, seconds=1.0):
    """The tutorial with less time for slow backends."""
    parts = [replace(part, seconds=seconds) if getattr(part, "seconds", None) else part for part in tutorial.parts]
    return replace(tutorial, parts=parts)


SEEDS = reproduce._seeds
NUMPY_SEEDS = list(feedforward.CURVES)[:1]
SIMD_SEEDS = tuple(f"seed {seed}: " for seed in feedforward.CURVES if seed not in NUMPY_SEEDS)


def fewer_seeds(program, backend):
    """The seeds of a program. NumPy takes long, so it trains few of them, and only one of the printed curves."""
    if backend.name != "numpy_vectorized":
        return SEEDS(program, backend)
    return NUMPY_SEEDS if program.name == feedforward.TRAINING else program.few


@pytest.fixture(scope="module")
def results():
    """The results of all tutorials on BACKENDS, which are compared with numba_simd, the quickest to train all seeds."""
    results = reproduce.TutorialResults()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce, "_seeds", fewer_seeds)
        patch.setattr(reproduce, "COMPARISON_BACKEND", "numba_simd")
        for tutorial in TUTORIALS:
            reproduce.reproduce_tutorial(
                with_short_budget(tutorial), [impls.load(name) for name in BACKENDS], TINY, NoProgress(), results
            )
    return results


def rows_of(results, figure):
    return [row for row in results.rows if (row.document, row.part, row.figure, row.source) == figure]


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES, ids=[" ".join(figure) for figure in FIGURES])
def test_every_printed_figure_is_reproduced(results, figure):
    rows = rows_of(results, figure)
    assert rows
    assert all(row.ok for row in rows), rows


@pytest.mark.slow
def test_every_figure_has_rows_of_the_expected_backends(results):
    """Figures of networks have rows of all backends; those of nodes, of the graph; those of long runs, of fast ones."""
    backends_of = {figure: {row.backend for row in rows_of(results, figure)} for figure in FIGURES}
    for (key, part, name, _), backends in backends_of.items():
        has_network = "network 2-1" in part or part in NETWORK_PARTS or "forward" in part
        short = name == "seed 0: first cost" or (part == xor.TRAINING and "of 0 to 59" not in name)
        if key == "circles" or has_network or short:
            assert backends == set(BACKENDS)
        elif "node" in part or part == quartic.COMPUTATION.name or part.startswith("(x + y)"):
            assert backends == {"graph"}
        elif name == "accuracy, %: below all seeds" or name.startswith(SIMD_SEEDS) or "of 0 to 59" in name:
            assert backends == {"numba_simd"}
        elif "training" in part or part == feedforward.TRAINING:
            assert backends >= {"numpy_vectorized", "numba_simd"}
        else:  # figures of data and counts, which need no backend
            assert backends == {None}
    assert len([figure for figure in FIGURES if figure[0] == "circles"]) == 2 * 9


@pytest.mark.slow
def test_the_backends_agree_with_the_comparison_backend(results):
    rows = [row for row in results.rows if row.kind == "agreement"]
    assert {(row.document, row.backend) for row in rows} == {
        (key, name) for key in ("feedforward", "circles", "miniflow", "xor") for name in BACKENDS
    }
    assert all(row.ok and row.value < 1e-10 for row in rows)
    compared = {row.backend: row.note for row in rows if row.document == "xor"}
    assert compared["numba_simd"] == "52 seeds, 1000 epochs"
    assert compared["numpy_vectorized"] == compared["python_loops"] == compared["graph"] == "10 seeds, 1000 epochs"


@pytest.mark.slow
def test_times_are_compared_with_the_tutorials(results):
    times = [row for row in results.rows if row.part.startswith("one sample")]
    assert {row.backend for row in times} == {*BACKENDS, "python_loops_ndarray"}
    printed = {(row.part, row.kind, row.backend): row for row in times if row.printed}
    assert {(part.split()[-1], kind, backend): row.printed for (part, kind, backend), row in printed.items()} == {
        ("3-3-1", "time", "python_loops_ndarray"): "4e-05",
        ("3-3-3-1", "time", "python_loops_ndarray"): "7e-05",
        ("3-3-3-1", "time", "numpy_vectorized"): "4.6e-05",
        ("3-3-3-1", "speedup", "numpy_vectorized"): "1.5",
        ("100-100-50-10", "time", "python_loops_ndarray"): "0.041",
        ("100-100-50-10", "time", "numpy_vectorized"): "8.4e-05",
        ("100-100-50-10", "speedup", "numpy_vectorized"): "488",
    }
    for row in printed.values():
        assert row.ratio == pytest.approx(row.value / float(row.printed))
    assert all(row.low < row.value < row.high for row in times if row.kind == "speedup")
    (slow,) = [row for row in results.rows if row.printed == "several minutes" and row.backend == "python_loops"]
    assert slow.value > 60
    assert slow.note.endswith("of 3000 epochs")


@pytest.mark.slow
def test_remarks_state_the_computed_figures(results):
    assert "Seeds 0 to 10 give 87.3 to 90.5 %" in results.remarks["feedforward"][-1]
    assert "Of seeds 0 to 59, 2 predict 1" in results.remarks["xor"][-1]
    assert "is 0.01 for weights and 0.00001 for biases" in results.remarks["circles"][0]


# Planted errors: backends with one fault each.


class RateOff(numpy_plain.Model):
    """The learning rate is off by 1 %."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(learning_rate=descent.learning_rate * 1.01))


class BiasRateOff(numpy_plain.Model):
    """The learning rate of the biases is off by 1 %."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(bias_learning_rate=descent.bias_learning_rate * 1.01))


class Doubled(numpy_plain.Model):
    """The derivative of the output layer is doubled, as in the original program of circles."""

    def _output_delta(self, a, Y):
        return 2 * super()._output_delta(a, Y)


class NoBiasUpdate(numpy_plain.Model):
    """The biases are not updated."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(bias_learning_rate=0.0))


class NotANumber(numpy_plain.Model):
    """All losses are NaN."""

    def _train(self, X, Y, descent):
        return [math.nan] * len(super()._train(X, Y, descent))


class Raises(numpy_plain.Model):
    """Training raises an error."""

    def _train(self, X, Y, descent):
        raise RuntimeError("no training today")


class StopsEarly(numpy_plain.Model):
    """Training ends after one epoch."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(epochs=1))


class Exits(numpy_plain.Model):
    """Training raises SystemExit."""

    def _train(self, X, Y, descent):
        raise SystemExit(0)


class WritesIntoTheData(numpy_plain.Model):
    """Training changes the data that later backends use."""

    def _train(self, X, Y, descent):
        X *= 1.001
        return super()._train(X, Y, descent)


class KeepsItsParameters(numpy_plain.Model):
    """The losses are right, but the parameters stay the same."""

    def _train(self, X, Y, descent):
        before = self._layers
        losses = super()._train(X, Y, descent)
        if descent.epochs > 1:
            self._layers = before
        return losses


class SlightlyOff(numpy_plain.Model):
    """The learning rate is off by a millionth."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(learning_rate=descent.learning_rate * (1 + 1e-6)))


PLANTED = (
    Exits,
    WritesIntoTheData,
    SlightlyOff,
    RateOff,
    BiasRateOff,
    Doubled,
    NoBiasUpdate,
    NotANumber,
    Raises,
)


RAISED = {
    Exits: "SystemExit: 0",
    WritesIntoTheData: "ValueError: output array is read-only",
    Raises: "RuntimeError: no training today",
}
"""By planted error: the exception that it raises. The other planted errors raise none."""


def only_training(tutorial):
    """The tutorial with its training program alone, from two seeds."""
    (program,) = [part for part in tutorial.parts if isinstance(part, Program) and part.setting(part.few[0]).epochs]
    figures = [figure for figure in program.figures if set(figure.seeds) <= set(program.few)]
    two = program.few[:2]
    return replace(tutorial, parts=[replace(program, figures=figures, seeds=two, few=two, remark=None)], times=())


def shortened(tutorial, epochs):
    """The tutorial with fewer epochs, which suffice to show a planted error."""
    (program,) = tutorial.parts

    def short(seed):
        return replace(program.setting(seed), epochs=epochs, stops=range(epochs))

    return replace(tutorial, parts=[replace(program, setting=short, figures=[], seconds=None)])


TRAININGS = {tutorial.key: only_training(tutorial) for tutorial in TUTORIALS}
TRAININGS["feedforward"] = shortened(TRAININGS["feedforward"], 20)


@pytest.mark.slow
@pytest.mark.parametrize("key", TRAININGS)
@pytest.mark.parametrize("model", PLANTED, ids=lambda model: model.__name__)
def test_a_planted_error_fails_a_row_of_every_tutorial(key, model):
    results = reproduce.TutorialResults()
    sabotaged = Backend("sabotaged", "core", model)
    reproduce.reproduce_tutorial(
        TRAININGS[key], [impls.load(reproduce.COMPARISON_BACKEND), sabotaged], TINY, NoProgress(), results
    )
    others = [row for row in results.rows if row.backend != "sabotaged"]
    assert others
    assert all(row.ok for row in others)
    broken = [row for row in results.rows if row.backend == "sabotaged" and not row.ok]
    raised = RAISED.get(model)
    if raised and (key, model) != ("miniflow", WritesIntoTheData):  # miniflow passes copies of the rows of a batch
        (row,) = broken
        assert (row.kind, row.note) == (
            "failure",
            f"{raised} (test_tutorials.py, line {model._train.__code__.co_firstlineno + 1})",
        )
    else:  # it trains, with a wrong result
        assert "agreement" in {row.kind for row in broken} <= {"agreement", "figure"}


@pytest.mark.parametrize("model", [RateOff, BiasRateOff, Doubled, NoBiasUpdate], ids=lambda model: model.__name__)
def test_a_planted_error_fails_a_printed_figure_of_circles(model):
    """An error that all backends share would not show in their agreement, but in a printed figure."""
    results = reproduce.TutorialResults()
    reproduce.reproduce_tutorial(
        TRAININGS["circles"], [Backend(reproduce.COMPARISON_BACKEND, "core", model)], TINY, NoProgress(), results
    )
    broken = {row.figure for row in results.rows if row.kind == "figure" and not row.ok}
    assert "iteration 149: loss" in broken


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "kind", "text"),
    [
        (KeepsItsParameters, "agreement", "^2 seeds, 1000 epochs$"),
        (StopsEarly, "failure", r"training for 1000 epochs returned losses of shape \(1,\)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_training_that_skips_epochs_fails(model, kind, text):
    results = reproduce.TutorialResults()
    backends = [impls.load(reproduce.COMPARISON_BACKEND), Backend("sabotaged", "core", model)]
    reproduce.reproduce_tutorial(TRAININGS["xor"], backends, TINY, NoProgress(), results)
    (row,) = [row for row in results.rows if (row.backend, row.kind) == ("sabotaged", kind)]
    assert not row.ok
    assert re.search(text, row.note)


def test_without_common_seeds_the_backends_do_not_agree():
    (program,) = TRAININGS["xor"].parts
    without_common_seeds = replace(TRAININGS["xor"], parts=[replace(program, sensitive=program.seeds)])
    results = reproduce.TutorialResults()
    reproduce.reproduce_tutorial(
        without_common_seeds, [impls.load(reproduce.COMPARISON_BACKEND)], TINY, NoProgress(), results
    )
    assert [row.ok for row in results.rows if row.kind == "agreement"] == [False]


@pytest.mark.slow
def test_a_right_backend_passes_every_tutorial():
    for tutorial in TRAININGS.values():
        results = reproduce.TutorialResults()
        backends = [impls.load(reproduce.COMPARISON_BACKEND), Backend("right", "core", numpy_plain.Model)]
        reproduce.reproduce_tutorial(tutorial, backends, TINY, NoProgress(), results)
        assert {row.backend for row in results.rows} == {backend.name for backend in backends}
        assert all(row.ok for row in results.rows)


# The pictures.

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.slow
def test_pictures(results, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("networkx")
    from bench.report import tutorial_pictures

    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        drawn = tutorial_pictures.draw(results.runs, folder)
        assert [path.stem for path in drawn] == list(tutorial_pictures.PICTURES)
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes()
        assert path.stat().st_size < 100_000
        root = ElementTree.parse(path).getroot()
        assert root.tag == f"{SVG}svg"
        assert [text.text for text in root.iter(f"{SVG}text")]
    texts = {text.text for text in ElementTree.parse(folders[0] / "miniflow-graph.svg").iter(f"{SVG}text")}
    assert texts == {"X", "W1", "b1", "Linear 1", "Sigmoid", "W2", "b2", "Linear 2", "y", "MSE"}


def test_the_page_shows_every_committed_picture():
    pytest.importorskip("matplotlib")
    from bench.report import tutorial_pictures

    folder = ROOT / "results" / "tutorials"
    page = (folder / "README.md").read_text()
    assert {path.stem for path in folder.glob("*.svg")} == set(tutorial_pictures.PICTURES)
    assert all(f"({name}.svg)" in page for name in tutorial_pictures.PICTURES)
