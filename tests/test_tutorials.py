"""The documents' programs: every printed figure, and planted errors that must break one."""

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

import impls
from bench.tutorials import feedforward, library, quartic, reproduce, xor
from bench.tutorials.programs import Program
from impls import Backend, numpy_plain
from pairbench.progress import NoProgress
from tests.helpers import ROOT, TINY

LAYERS = ("Linear", "Sigmoid(Linear)")
STATING = ("python_loops", "numpy_vectorized", "numba_simd", "graph")
DOCUMENTS = library.select_tutorials()
FIGURES = [
    (document.key, part.name, figure.name, figure.source)
    for document in DOCUMENTS
    for part in document.parts
    for figure in part.figures
]


def hurried(document, seconds=4.0):
    """The document, with less time for the backends that are slow."""
    parts = [replace(part, seconds=seconds) if getattr(part, "seconds", None) else part for part in document.parts]
    return replace(document, parts=parts)


@pytest.fixture(scope="module")
def results():
    """All documents, run on the backends that state their figures."""
    left = reproduce.TutorialResults()
    for document in DOCUMENTS:
        reproduce.reproduce_tutorial(
            hurried(document), [impls.load(name) for name in STATING], TINY, NoProgress(), left
        )
    return left


def rows_of(results, figure):
    return [row for row in results.rows if (row.document, row.part, row.figure, row.source) == figure]


@pytest.mark.slow
@pytest.mark.parametrize("figure", FIGURES, ids=[" ".join(figure) for figure in FIGURES])
def test_every_printed_figure_is_reproduced(results, figure):
    rows = rows_of(results, figure)
    assert rows
    assert all(row.ok for row in rows), rows


@pytest.mark.slow
def test_every_backend_states_what_it_can(results):
    """Networks: all four; nodes: the graph alone; what needs whole runs or all seeds: those that had them."""
    stating = {figure: {row.backend for row in rows_of(results, figure)} for figure in FIGURES}
    for (key, part, name, _), backends in stating.items():
        layers = "network 2-1" in part or part in (*LAYERS, "product of two matrices") or "forward" in part
        short = name == "seed 0: first cost" or (part == xor.TRAINING and "of 0 to 59" not in name)
        if key == "circles" or layers or short:
            assert backends == set(STATING)
        elif "node" in part or part == quartic.COMPUTATION.name or part.startswith("(x + y)"):
            assert backends == {"graph"}
        elif "training" in part or part == feedforward.TRAINING:
            assert backends >= {"numpy_vectorized", "numba_simd"}
        else:  # what needs no network: data and counts
            assert backends == {None}
    assert len([figure for figure in FIGURES if figure[0] == "circles"]) == 2 * 9


@pytest.mark.slow
def test_backends_agree(results):
    rows = [row for row in results.rows if row.kind == "agreement"]
    assert {(row.document, row.backend) for row in rows} == {
        (key, name) for key in ("feedforward", "circles", "miniflow", "xor") for name in STATING
    }
    assert all(row.ok and row.value < 1e-10 for row in rows)
    compared = {row.backend: row.note for row in rows if row.document == "xor"}
    assert compared["numba_simd"] == "52 seeds, 1000 epochs"
    assert compared["python_loops"] == compared["graph"] == "10 seeds, 1000 epochs"


@pytest.mark.slow
def test_times_stand_beside_the_document(results):
    times = [row for row in results.rows if row.part.startswith("one sample")]
    assert {row.backend for row in times} == {*STATING, "python_loops_ndarray"}
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
def test_remarks_say_what_is_true(results):
    assert "Seeds 0 to 10 give 87.3 to 90.5 %" in results.remarks["feedforward"][-1]
    assert "Of seeds 0 to 59, 2 predict 1" in results.remarks["xor"][-1]
    assert "is 0.01 for weights and 0.00001 for biases" in results.remarks["circles"][0]


# Planted errors: each a backend that is wrong in one place.


class RateOff(numpy_plain.Model):
    """A learning rate off by 1 %."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(learning_rate=descent.learning_rate * 1.01))


class BiasRateOff(numpy_plain.Model):
    """The learning rate of the biases off by 1 %."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(bias_learning_rate=descent.bias_learning_rate * 1.01))


class Doubled(numpy_plain.Model):
    """The doubled derivative of the circles' program left in, in the output layer."""

    def _output_delta(self, a, Y):
        return 2 * super()._output_delta(a, Y)


class NoBiasUpdate(numpy_plain.Model):
    """The update of the biases dropped."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(bias_learning_rate=0.0))


class NotANumber(numpy_plain.Model):
    """Losses that are NaN."""

    def _train(self, X, Y, descent):
        return [math.nan] * len(super()._train(X, Y, descent))


class Raises(numpy_plain.Model):
    """A training that raises."""

    def _train(self, X, Y, descent):
        raise RuntimeError("no training today")


class StopsEarly(numpy_plain.Model):
    """A training of one epoch, whatever is asked for."""

    def _train(self, X, Y, descent):
        return super()._train(X, Y, descent._replace(epochs=1))


class Exits(numpy_plain.Model):
    """A training that would end the program."""

    def _train(self, X, Y, descent):
        raise SystemExit(0)


class WritesIntoTheData(numpy_plain.Model):
    """A training that changes the data for those that come after it."""

    def _train(self, X, Y, descent):
        X *= 1.001
        return super()._train(X, Y, descent)


class KeepsItsParameters(numpy_plain.Model):
    """The right losses, and not the parameters that they come from."""

    def _train(self, X, Y, descent):
        before = self._layers
        losses = super()._train(X, Y, descent)
        if descent.epochs > 1:
            self._layers = before
        return losses


class SlightlyOff(numpy_plain.Model):
    """A learning rate off by a millionth."""

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
"""Of those that raise, what they raise; the others must not."""


def trained(document):
    """Its training alone, from the few seeds, and not for long."""
    (program,) = [part for part in document.parts if isinstance(part, Program) and part.setting(part.few[0]).epochs]
    figures = [one for one in program.figures if set(one.seeds) <= set(program.few)]
    return replace(document, parts=[replace(program, figures=figures, seeds=program.few[:2], remark=None)], times=())


def shortened(document, epochs):
    """With so many epochs: enough for the backends to part."""
    (program,) = document.parts

    def short(seed):
        return replace(program.setting(seed), epochs=epochs, stops=range(epochs))

    return replace(document, parts=[replace(program, setting=short, figures=[], seconds=None)])


TRAINED = {document.key: trained(document) for document in DOCUMENTS}
TRAINED["feedforward"] = shortened(TRAINED["feedforward"], 20)


@pytest.mark.slow
@pytest.mark.parametrize("key", TRAINED)
@pytest.mark.parametrize("model", PLANTED, ids=lambda model: model.__name__)
def test_a_planted_error_breaks_a_row(key, model):
    left = reproduce.TutorialResults()
    sabotaged = Backend("sabotaged", "core", model)
    reproduce.reproduce_tutorial(
        TRAINED[key], [impls.load(reproduce.COMPARISON_BACKEND), sabotaged], TINY, NoProgress(), left
    )
    others = [row for row in left.rows if row.backend != "sabotaged"]
    assert others
    assert all(row.ok for row in others)
    broken = [row for row in left.rows if row.backend == "sabotaged" and not row.ok]
    raised = RAISED.get(model)
    if raised and (key, model) != ("miniflow", WritesIntoTheData):  # there it is given copies of the rows of a batch
        (row,) = broken
        assert (row.kind, row.note) == (
            "failure",
            f"{raised} (test_tutorials.py, line {model._train.__code__.co_firstlineno + 1})",
        )
    else:  # it trains, and otherwise
        assert "agreement" in {row.kind for row in broken} <= {"agreement", "figure"}


@pytest.mark.parametrize("model", [RateOff, BiasRateOff, Doubled, NoBiasUpdate], ids=lambda model: model.__name__)
def test_a_planted_error_breaks_a_printed_figure_of_the_circles(model):
    """Not only the agreement of backends, which a common error would leave whole."""
    left = reproduce.TutorialResults()
    reproduce.reproduce_tutorial(
        TRAINED["circles"], [Backend(reproduce.COMPARISON_BACKEND, "core", model)], TINY, NoProgress(), left
    )
    broken = {row.figure for row in left.rows if row.kind == "figure" and not row.ok}
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
def test_a_training_of_many_epochs_that_does_not_train_them(model, kind, text):
    left = reproduce.TutorialResults()
    backends = [impls.load(reproduce.COMPARISON_BACKEND), Backend("sabotaged", "core", model)]
    reproduce.reproduce_tutorial(TRAINED["xor"], backends, TINY, NoProgress(), left)
    (row,) = [row for row in left.rows if (row.backend, row.kind) == ("sabotaged", kind)]
    assert not row.ok
    assert re.search(text, row.note)


def test_without_a_seed_in_common_nothing_is_equal():
    (program,) = TRAINED["xor"].parts
    apart = replace(TRAINED["xor"], parts=[replace(program, sensitive=program.seeds)])
    left = reproduce.TutorialResults()
    reproduce.reproduce_tutorial(apart, [impls.load(reproduce.COMPARISON_BACKEND)], TINY, NoProgress(), left)
    assert [row.ok for row in left.rows if row.kind == "agreement"] == [False]


@pytest.mark.slow
def test_the_right_backend_breaks_none():
    for document in TRAINED.values():
        left = reproduce.TutorialResults()
        backends = [impls.load(reproduce.COMPARISON_BACKEND), Backend("right", "core", numpy_plain.Model)]
        reproduce.reproduce_tutorial(document, backends, TINY, NoProgress(), left)
        assert {row.backend for row in left.rows} == {backend.name for backend in backends}
        assert all(row.ok for row in left.rows)


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
    for one in folders[0].iterdir():
        assert one.read_bytes() == (folders[1] / one.name).read_bytes()
        assert one.stat().st_size < 100_000
        root = ElementTree.parse(one).getroot()
        assert root.tag == f"{SVG}svg"
        assert [text.text for text in root.iter(f"{SVG}text")]
    texts = {text.text for text in ElementTree.parse(folders[0] / "miniflow-graph.svg").iter(f"{SVG}text")}
    assert texts == {"X", "W1", "b1", "Linear 1", "Sigmoid", "W2", "b2", "Linear 2", "y", "MSE"}


def test_the_committed_pictures_are_shown():
    pytest.importorskip("matplotlib")
    from bench.report import tutorial_pictures

    folder = ROOT / "results" / "tutorials"
    page = (folder / "README.md").read_text()
    assert {path.stem for path in folder.glob("*.svg")} == set(tutorial_pictures.PICTURES)
    assert all(f"({name}.svg)" in page for name in tutorial_pictures.PICTURES)
