"""Inputs on which a wrong backend could pass are refused."""

import re

import numpy as np
import pytest

from bench.proof import input_quality, problems
from bench.proof.verify import LARGE, NETWORKS
from impls import Network

RELU = Network((5, 8, 8, 3), "relu", "identity")
SIGMOID = Network((5, 8, 3))


def problem(network, seed=0):
    return problems.draw_problem(network, 8, seed=seed)


@pytest.mark.parametrize("network", [*NETWORKS, LARGE], ids=str)
@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_drawn_inputs_are_fit_and_representable(network, batch, dtype):
    drawn = problems.draw_problem(network, batch, dtype)
    assert input_quality.find_fault(network, dtype, drawn.parameters, drawn.X, drawn.Y) == ""
    for array in (drawn.X, drawn.Y, *(part for pair in drawn.parameters for part in pair)):
        np.testing.assert_array_equal(array.astype(dtype).astype(float), array)
        assert not array.flags.writeable


def biased(parameters, layer, value):
    changed = list(parameters)
    changed[layer] = (changed[layer][0], changed[layer][1] + value)
    return changed


UNFIT = {
    "all ReLUs active": (RELU, lambda p: (biased(p.parameters, 0, 50), p.X), "^100 % of the ReLUs .* in layer 1$"),
    "all ReLUs dead": (RELU, lambda p: (biased(p.parameters, 1, -90), p.X), "^0 % of the ReLUs are active in layer 2$"),
    "saturated": (SIGMOID, lambda p: ([(W * 100, b) for W, b in p.parameters], p.X), "saturated in layer 1$"),
    # With inputs of this scale, a known test suite accepts a backend that drops the bias.
    "inputs of ten million": (RELU, lambda p: (p.parameters, p.X * 1e16), "the same with the bias of layer 1 dropped"),
    "no bias": (SIGMOID, lambda p: ([(W, 0 * b) for W, b in p.parameters], p.X), "with the bias of layer 1 dropped"),
    "one sample, repeated": (SIGMOID, lambda p: (p.parameters, p.X[[0] * 8]), "samples 0 and 1 have the same outputs"),
    "overflow": (RELU, lambda p: ([(W * 1e155, b) for W, b in p.parameters], p.X), "the outputs overflow"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_inputs_are_refused(case):
    network, make_unfit, text = UNFIT[case]
    drawn = problem(network)
    parameters, X = make_unfit(drawn)
    assert re.search(text, input_quality.find_fault(network, "float64", parameters, X, drawn.Y))


def test_targets_that_are_the_outputs_are_refused():
    drawn = problem(SIGMOID)
    Y = drawn.X
    for W, b in drawn.parameters:
        Y = 1 / (1 + np.exp(-(Y @ W + b)))
    assert input_quality.find_fault(SIGMOID, "float64", drawn.parameters, drawn.X, Y) == "the outputs equal the targets"


def test_an_output_that_does_not_depend_on_the_sample_is_refused():
    drawn = problem(SIGMOID)
    (W, b), (V, c) = drawn.parameters
    V = V.copy()
    V[:, 1] = 0
    text = input_quality.find_fault(SIGMOID, "float64", [(W, b), (V, c)], drawn.X, drawn.Y)
    assert text == "output 2 is the same for all samples"


def test_a_network_too_deep_for_the_dtype_is_refused():
    # A sigmoid shrinks a difference at least fourfold: after 30 layers, nothing of it is left in float32.
    with pytest.raises(problems.UnfitInputs, match=r"no inputs for network 3-3-.* that would reveal a wrong backend"):
        problems.draw_problem(Network((3,) * 31), 4, "float32")
