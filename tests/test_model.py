"""Behaviour of models other than their results: copying, interruption, size limits, warnings and error messages."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest

import impls
from bench.proof.targets import flat
from impls import Network, _backend, python_loops

NETWORK = Network((3, 4, 2))
X = np.linspace(-1, 1, 12).reshape(4, 3)
Y = np.linspace(0.1, 0.9, 8).reshape(4, 2)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_cannot_be_copied_or_pickled(backend, copied):
    model = backend.build(NETWORK, NETWORK.random_parameters())
    with pytest.raises(TypeError, match="can be neither copied nor pickled; build another from its parameters"):
        copied(model)


def test_an_interrupted_training_leaves_a_consistent_model(monkeypatch):
    model = impls.load("numpy_vectorized").build(NETWORK, NETWORK.random_parameters())
    calls = []

    def backpropagate(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    original = model._backpropagate
    monkeypatch.setattr(model, "_backpropagate", backpropagate)
    with pytest.raises(KeyboardInterrupt):
        model.train(X, Y, epochs=9, learning_rate=5.0)
    assert len(calls) == 3  # two updates were made
    np.testing.assert_allclose(model.forward(X[0]), model.forward(X)[0], rtol=1e-13)


@pytest.mark.slow
def test_numba_simd_refuses_layers_that_its_header_cannot_count():
    network = Network((1, 2**24 + 1), output="identity")
    parameters = [(np.zeros((1, 2**24 + 1), np.float32), np.zeros(2**24 + 1, np.float32))]
    with pytest.raises(ValueError, match="does not support layers of more than 16777216 nodes in float32"):
        impls.load("numba_simd").build(network, parameters, "float32")


def test_large_values_do_not_warn(backend):
    network = Network((3, 1), output="identity")
    model = backend.build(network, network.random_parameters())
    assert model.loss(X * 1e200, np.zeros((4, 1))) == np.inf


@pytest.mark.parametrize("value", [np.eye(2), "a\nb", list(range(1000))])
def test_an_error_is_one_line_whatever_the_value(backend, value):
    model = backend.build(NETWORK, NETWORK.random_parameters())
    for name in ("epochs", "learning_rate", "reduction"):
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be ") as caught:
            model.train(X, Y, **{"epochs": 1, "learning_rate": 0.1, name: value})
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 200


class Held:
    """An argument whose conversion waits, so that the call that gets it is under way until ``release`` is set."""

    def __init__(self, array):
        self.array, self.entered, self.release = array, Event(), Event()

    def __array__(self, dtype=None, copy=None):
        self.entered.set()
        assert self.release.wait(60)
        return self.array


CALLS = {
    "forward of a sample": lambda model, X: model.forward(X[0]),
    "forward of a batch": lambda model, X: model.forward(X),
    "loss": lambda model, X: model.loss(X, Y),
    "gradient": lambda model, X: model.gradient(X, Y),
    "train": lambda model, X: model.train(X, Y, epochs=2, learning_rate=0.1),
    "parameters": lambda model, X: model.parameters(),
}


@pytest.mark.parametrize("held", [name for name in CALLS if name not in ("forward of a sample", "parameters")])
def test_a_model_in_use_by_a_thread_refuses_another(backend, held):
    model, x = backend.build(NETWORK, NETWORK.random_parameters()), Held(X)
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(CALLS[held], model, x)
        assert x.entered.wait(60)
        try:
            for call in CALLS.values():
                with pytest.raises(RuntimeError, match=r"^the model is in use by another thread; only one"):
                    call(model, X)
        finally:
            x.release.set()
        running.result(60)
    for call in CALLS.values():  # the model is free again, also after a refusal and an error
        with pytest.raises(ValueError, match="must have shape"):
            model.forward(np.ones(5))
        call(model, X)


def test_a_sample_that_another_thread_computes_cannot_become_wrong():
    entered, release = Event(), Event()

    class Paused(python_loops.Model):
        def _sample(self, x, out):
            entered.set()
            assert release.wait(60)
            super()._sample(x, out)

    model = Paused(NETWORK, NETWORK.random_parameters(), np.dtype(float))
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(model.forward, X[0])
        assert entered.wait(60)
        with pytest.raises(RuntimeError, match="in use by another thread"):
            model.forward(X[1])
        release.set()
        expected = impls.load("python_loops").build(NETWORK, NETWORK.random_parameters()).forward(X[0])
        np.testing.assert_array_equal(running.result(60), expected)


@pytest.mark.parametrize("batches", [None, 1, 3])
def test_a_long_training_is_interrupted_between_calls_and_keeps_its_bits(backend, batches, monkeypatch):
    settings = {"learning_rate": 0.5, "bias_learning_rate": 0.2, "batches": batches}
    whole, divided, interrupted = (backend.build(NETWORK, NETWORK.random_parameters()) for _ in range(3))
    losses = whole.train(X, Y, epochs=5, **settings)
    epoch_work = divided._row_work * 4 + _backend.UPDATE * -(-4 // (batches or 4))
    monkeypatch.setattr(_backend, "WORK_PER_CALL", 2 * epoch_work)
    lengths, train = [], divided._train

    def counted(X, Y, descent):
        lengths.append(descent.epochs)
        return train(X, Y, descent)

    monkeypatch.setattr(divided, "_train", counted)
    np.testing.assert_array_equal(divided.train(X, Y, epochs=5, **settings), losses)
    np.testing.assert_array_equal(flat(divided.parameters()), flat(whole.parameters()))
    assert lengths == [2, 2, 1]

    parts = iter([interrupted._train])  # the second one is interrupted

    def train_once(X, Y, descent):
        for train in parts:
            return train(X, Y, descent)
        raise KeyboardInterrupt

    monkeypatch.setattr(interrupted, "_train", train_once)
    with pytest.raises(KeyboardInterrupt):
        interrupted.train(X, Y, epochs=5, **settings)
    monkeypatch.undo()
    np.testing.assert_array_equal(interrupted.train(X, Y, epochs=3, **settings), losses[2:])
