"""The running error analysis: its values against the oracle, and its bounds against other orders of summation."""

import numpy as np
import pytest

from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.oracle import Oracle, mp
from bench.proof.problems import draw_problem
from bench.proof.targets import exact_target, flat_bounded
from bench.proof.verify import NETWORKS
from impls import Network

SMALL = NETWORKS[:-1]
IDS = [f"{n}-{n.hidden}-{n.output}-{n.loss}" for n in SMALL]


def analyzed(problem, dtype):
    analysis = Analysis(problem.network, dtype)
    pairs = exact_pairs(problem.parameters)
    forward = analysis.forward(pairs, exact(problem.X))
    return (
        analysis,
        forward,
        analysis.loss(forward, exact(problem.Y)),
        analysis.gradient(pairs, forward, exact(problem.Y)),
    )


@pytest.mark.parametrize("network", SMALL, ids=IDS)
def test_values_are_within_their_own_bound_of_the_oracle(network):
    problem = draw_problem(network, 4)
    _, forward, loss, gradient = analyzed(problem, "float64")
    oracle = Oracle(network, problem.parameters)
    traces = [oracle.trace(x) for x in problem.X]
    entries = {(e.layer, e.i, e.j): e for e in oracle.entries()}
    derivatives = [
        mp.fsum(t.derivative(y, entries[layer, i, j]) for t, y in zip(traces, problem.Y, strict=True))
        for layer, (n_in, n_out) in enumerate(network.shapes)
        for i in [*range(n_in), None]
        for j in range(n_out)
    ]
    total = mp.fsum(t.loss(y) for t, y in zip(traces, problem.Y, strict=True))
    for values, bounded in (
        ([t.outputs for t in traces], forward.outputs),
        (total, loss),
        (derivatives, flat_bounded(gradient)),
    ):
        evidence = exact_target("value", "float64", values, bounded.error).judge(bounded.value)
        assert evidence.ok, evidence.reason


@pytest.mark.parametrize("network", SMALL, ids=IDS)
def test_training_is_within_its_bound_of_the_oracle(network):
    # Two epochs of two batches; the oracle takes each step with the exact gradient at exact parameters.
    problem = draw_problem(network, 5)
    steps, rates = [slice(0, 3), slice(3, 5)], (0.3, 0.1)
    oracle, losses = Oracle(network, problem.parameters), []
    for _ in range(2):
        totals = []
        for rows in steps:
            total, oracle = oracle.descended(problem.X[rows], problem.Y[rows], *rates, mean=True)
            totals.append(total)
        losses.append(mp.fsum(totals) / 5)
    for dtype in ("float64", "float32"):
        bounded_losses, pairs = Analysis(network, dtype).train(
            exact_pairs(problem.parameters),
            exact(problem.X),
            exact(problem.Y),
            steps=steps,
            epochs=2,
            learning_rate=rates[0],
            bias_learning_rate=rates[1],
            mean=True,
        )
        parameters = [value for W, b in oracle.parameters() for value in [w for row in W for w in row] + b]
        for exact_values, bounded in ((losses, bounded_losses), (parameters, flat_bounded(pairs))):
            evidence = exact_target("value", dtype, exact_values, bounded.error).judge(bounded.value)
            assert evidence.ok, evidence.reason


@pytest.mark.parametrize("network", SMALL, ids=IDS)
def test_single_precision_is_within_its_own_bound_but_not_that_of_double(network):
    # A forward pass in float32, with sums in a random order.
    problem = draw_problem(network, 4, "float32")
    rng = np.random.default_rng(0)
    a = problem.X.astype(np.float32)
    for (W, b), activation in zip(problem.parameters, network.activations, strict=True):
        order = rng.permutation(len(W))
        z = np.broadcast_to(b.astype(np.float32), (len(a), len(b))).copy()
        for i in order:
            z += a[:, i : i + 1] * W[i].astype(np.float32)
        a = {
            "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
            "tanh": np.tanh,
            "relu": lambda z: np.maximum(z, 0),
            "identity": lambda z: z,
            "softmax": lambda z: (
                np.exp(z - z.max(1, keepdims=True)) / np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)
            ),
        }[activation](z)
    _, wide, _, _ = analyzed(problem, "float32")
    _, narrow, _, _ = analyzed(problem, "float64")
    error = np.abs(a - narrow.outputs.value)
    assert (error <= wide.outputs.error + narrow.outputs.error).all()
    assert (error > narrow.outputs.error).any()
    # The bound is not too loose: it is below a thousand roundings of the values.
    assert (wide.outputs.error <= 1000 * np.finfo(np.float32).eps * np.abs(wide.outputs.value).max()).all()


def test_a_sum_of_n_products_costs_n_roundings():
    # The bound of one linear layer of 1000 weights is γ(1001) Σ|w x|.
    network = Network((1000, 1), output="identity")
    x = np.ones((1, 1000))
    W = np.ones((1000, 1))
    outputs = Analysis(network, "float64").forward([(exact(W), exact(np.zeros(1)))], exact(x)).outputs
    u = 2.0**-53
    np.testing.assert_allclose(outputs.error, 1001 * u / (1 - 1001 * u) * 1000, rtol=1e-12)


def test_bounds_scale_with_the_unit_roundoff():
    problem = draw_problem(NETWORKS[0], 3, "float32")
    double, single = (analyzed(problem, dtype)[1].outputs.error for dtype in ("float64", "float32"))
    np.testing.assert_allclose(single / double, 2.0**29, rtol=1e-3)
