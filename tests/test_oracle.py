"""The oracle against other arithmetic: fractions, numerical differentiation and closed forms."""

from fractions import Fraction

import numpy as np
import pytest
from mpmath import mp as other_mp

from bench.proof.oracle import Entry, Oracle, mp
from impls import Network

NETWORKS = [
    Network((3, 4, 2), "sigmoid", "tanh", "half_squared_error"),
    Network((3, 4, 2), "tanh", "identity", "mean_squared_error"),
    Network((3, 4, 2), "relu", "sigmoid", "binary_cross_entropy"),
    Network((3, 4, 2, 3), "relu", "softmax", "categorical_cross_entropy"),
    Network((3, 2), "relu", "relu", "half_squared_error"),
]
IDS = [f"{network.hidden}-{network.output}-{network.loss}" for network in NETWORKS]


def sample(network):
    rng = np.random.default_rng(3)
    y = rng.dirichlet(np.ones(network.n_out))
    return network.random_parameters(seed=3), rng.normal(size=network.n_in), y


def test_example_of_the_first_tutorial(example):
    network, parameters, x = example
    outputs = Oracle(network, parameters).trace(x).outputs
    assert abs(outputs[0] - mp.mpf("0.83545566")) < 1e-8


def test_relu_network_in_rational_numbers():
    network = Network((3, 3, 2), "relu", "identity", "half_squared_error")
    parameters, x, y = sample(network)
    a = [Fraction(v) for v in x.tolist()]
    for layer, (W, b) in enumerate(parameters):
        z = [
            sum((Fraction(w) * v for w, v in zip(column, a, strict=True)), Fraction(c))
            for column, c in zip(W.T.tolist(), b.tolist(), strict=True)
        ]
        a = [max(v, Fraction(0)) for v in z] if layer == 0 else z
    loss = sum((p - Fraction(t)) ** 2 for p, t in zip(a, y.tolist(), strict=True)) / 2
    trace = Oracle(network, parameters).trace(x)
    for computed, exact in [*zip(trace.outputs, a, strict=True), (trace.loss(y), loss)]:
        assert abs(computed * exact.denominator - exact.numerator) < abs(exact.numerator) * mp.mpf(10) ** -48


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_every_derivative_against_central_differences(network):
    parameters, x, y = sample(network)
    oracle = Oracle(network, parameters)
    trace = oracle.trace(x)
    step = mp.mpf(10) ** -15
    for entry in oracle.entries():
        losses = []
        for sign in (1, -1):
            changed = [(W, list(b)) for W, b in oracle.parameters()]
            W, b = changed[entry.layer]
            if entry.i is None:
                b[entry.j] += sign * step
            else:
                W[entry.i][entry.j] += sign * step
            losses.append(Oracle(network, changed).trace(x).loss(y))
        quotient = (losses[0] - losses[1]) / (2 * step)
        assert abs(trace.derivative(y, entry) - quotient) < 1e-25


@pytest.mark.parametrize("network", NETWORKS, ids=IDS)
def test_derivative_along_a_direction_is_the_sum_over_its_entries(network):
    parameters, x, y = sample(network)
    oracle = Oracle(network, parameters)
    trace = oracle.trace(x)
    direction = network.random_parameters(seed=4)
    parts = []
    for entry in oracle.entries():
        dW, db = direction[entry.layer]
        size = db[entry.j] if entry.i is None else dW[entry.i, entry.j]
        parts.append(mp.mpf(float(size)) * trace.derivative(y, entry))
    assert abs(trace.derivative(y, direction) - mp.fsum(parts)) < 1e-45


def test_tails_and_large_logits():
    network = Network((1, 1))
    trace = Oracle(network, [(np.array([[1.0]]), np.array([0.0]))]).trace([-700.0])
    assert abs(trace.outputs[0] / other_mp.exp(-700) - 1) < 1e-15
    network = Network((1, 1), loss="binary_cross_entropy")
    trace = Oracle(network, [(np.array([[1.0]]), np.array([0.0]))]).trace([1000.0])
    assert trace.loss([0.0]) == 1000 + mp.log1p(mp.exp(-1000))
    assert trace.loss([1.0]) == mp.log1p(mp.exp(-1000))


def test_derivative_of_relu_at_zero_is_zero():
    network = Network((1, 1, 1), "relu", "identity")
    oracle = Oracle(network, [(np.zeros((1, 1)), np.zeros(1)), (np.ones((1, 1)), np.zeros(1))])
    assert oracle.trace([1.0]).derivative([1.0], Entry(0, 0, 0)) == 0


def test_descent_lowers_the_loss_by_rate_times_squared_gradient():
    network = Network((2, 2, 1))
    oracle = Oracle(network, network.random_parameters())
    X, Y, rate = [[0.5, -1.0], [1.0, 0.25]], [[0.3], [0.9]], mp.mpf(10) ** -20
    before, updated = oracle.descended(X, Y, rate, rate, mean=False)
    after, _ = updated.descended(X, Y, rate, rate, mean=False)
    traces = [oracle.trace(x) for x in X]
    square = mp.fsum(
        mp.fsum(t.derivative(y, entry) for t, y in zip(traces, Y, strict=True)) ** 2 for entry in oracle.entries()
    )
    assert abs((before - after) / (rate * square) - 1) < 1e-15
