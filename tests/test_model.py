"""Behaviour of models other than their results: copying, interruption, size limits, warnings and error messages."""

import copy
import pickle

import numpy as np
import pytest

import impls
from impls import Network

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
