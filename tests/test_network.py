import dataclasses
import math

import numpy as np
import pytest

from impls import Network
from tests import damage


def test_defaults_and_text():
    network = Network.parse("100-100-50-10")
    assert network == Network((100, 100, 50, 10), hidden="sigmoid", output="sigmoid", loss="half_squared_error")
    assert str(network) == "100-100-50-10"
    assert (network.n_in, network.n_out) == (100, 10)
    assert network.shapes == [(100, 100), (100, 50), (50, 10)]


def test_frozen_and_hashable():
    network = Network([np.int64(3), 3, 1])
    assert network.layer_sizes == (3, 3, 1)
    assert {network: 1}[Network((3, 3, 1))] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.hidden = "tanh"


def test_number_of_parameters_of_the_notation_example():
    # 5-4-4-4-1 has 56 weights and 13 biases.
    parameters = Network((5, 4, 4, 4, 1)).random_parameters()
    assert (sum(W.size for W, _ in parameters), sum(b.size for _, b in parameters)) == (56, 13)


def test_random_parameters_are_drawn_layer_by_layer():
    rng = np.random.default_rng(7)
    for (W, b), (n_in, n_out) in zip(Network((4, 3, 2)).random_parameters(seed=7), [(4, 3), (3, 2)], strict=True):
        np.testing.assert_array_max_ulp(W, rng.standard_normal((n_in, n_out)) / math.sqrt(n_in), maxulp=2)
        np.testing.assert_array_max_ulp(b, 0.1 * rng.standard_normal(n_out), maxulp=2)


def test_random_parameters_have_the_stated_variances():
    (W, b), *_ = Network((400, 2000, 1)).random_parameters(seed=1)
    assert W.var() == pytest.approx(1 / 400, rel=0.01)
    assert b.var() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize(
    ("sizes", "error", "text"),
    [
        ((3,), ValueError, "two entries or more"),
        ((), ValueError, "two entries or more"),
        ((3, 0, 1), ValueError, "must be 1 or more, got 0"),
        ((3, -2, 1), ValueError, "must be 1 or more, got -2"),
        ((3, 2.0, 1), TypeError, "must be an integer, got 2.0"),
        ((3, True), TypeError, "must be an integer, got True"),
        ((3, "2"), TypeError, "must be an integer, got '2'"),
        ("3-3-1", TypeError, "use Network.parse"),
        (5, TypeError, "must be a sequence of integers, not int"),
        (damage.Hostile(), TypeError, "must be a sequence of integers, not Hostile"),
        (
            (3, damage.Hostile()),
            TypeError,
            "a layer size must be an integer, got a value of type Hostile",
        ),
        ({3: "inputs", 1: "outputs"}, TypeError, "must be a sequence of integers, not dict"),
        ({3, 1}, TypeError, "must be a sequence of integers, not set"),
        (b"\x03\x01", TypeError, "must be a sequence of integers, not bytes"),
    ],
)
def test_layer_sizes_are_refused(sizes, error, text):
    with pytest.raises(error, match=text):
        Network(sizes)


@pytest.mark.parametrize("text", ["", "3", "3-", "3--1", "3-a-1", "3.0-1", "-3-1", "3-3-1-relu", "³-1"])
def test_parse_refuses(text):
    with pytest.raises(ValueError, match="layer sizes joined by '-'"):
        Network.parse(text)


def test_parse_refuses_a_zero():
    with pytest.raises(ValueError, match="1 or more"):
        Network.parse("3-0-1")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ({"hidden": "softmax"}, "hidden must be one of sigmoid, tanh, relu, got 'softmax'"),
        ({"hidden": "identity"}, "hidden must be one of"),
        ({"hidden": None}, "hidden must be one of"),
        ({"output": "gelu"}, "output must be one of"),
        ({"loss": "hinge"}, "loss must be one of"),
        ({"output": "softmax"}, "goes with output sigmoid or tanh or relu or identity, not with softmax"),
        ({"output": "softmax"}, "; output softmax goes with loss categorical_cross_entropy$"),
        ({"output": "tanh", "loss": "binary_cross_entropy"}, "goes with output sigmoid, not with tanh"),
        ({"loss": "categorical_cross_entropy"}, "goes with output softmax, not with sigmoid"),
        ({"output": "softmax", "loss": "mean_squared_error"}, "not with softmax"),
    ],
)
def test_activations_and_losses_that_do_not_go_together_are_refused(names, text):
    with pytest.raises(ValueError, match=text):
        Network((3, 3, 2), **names)


def test_softmax_of_one_output_is_refused():
    with pytest.raises(ValueError, match="two outputs or more"):
        Network((3, 1), output="softmax", loss="categorical_cross_entropy")
