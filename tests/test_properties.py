"""Random networks, parameters and inputs, mild and extreme: the results of every backend are within their bounds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import impls
from bench.proof import expectation
from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.problems import Problem
from bench.proof.targets import flat, flat_bounded
from impls import Network
from impls._network import HIDDEN, OUTPUTS
from tests.conftest import CORE

# Hypothesis prints the arrays of a failing example.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

BACKENDS = [impls.load(name) for name in CORE]
PAIRS = [(output, loss) for loss, outputs in OUTPUTS.items() for output in outputs]

# No shrinking, because it would compute hundreds of exact results.
common = settings(
    max_examples=40,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def networks(draw):
    """Networks of up to three layers, because numba_plain compiles anew for each number of layers."""
    sizes = draw(st.lists(st.one_of(st.integers(1, 8), st.integers(1, 70)), min_size=2, max_size=4))
    output, loss = draw(st.sampled_from(PAIRS))
    if output == "softmax":
        sizes[-1] = max(2, sizes[-1])
    return Network(tuple(sizes), draw(st.sampled_from(HIDDEN)), output, loss)


@st.composite
def problems(draw, dtypes=("float64", "float32")):
    network = draw(networks())
    dtype = draw(st.sampled_from(dtypes))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    batch = draw(st.one_of(st.integers(1, 6), st.integers(1, 50)))
    # A power of ten scales each layer's weights; their products and squares stay within the range of the dtype.
    span = (125 if dtype == "float64" else 8) // len(network.shapes)
    mild = st.floats(-1, 1)
    powers = draw(
        st.lists(
            st.one_of(mild, mild, st.floats(-span, span)), min_size=len(network.shapes), max_size=len(network.shapes)
        )
    )
    parameters = [
        (W * 10**p, b * 10**p)
        for (W, b), p in zip(network.random_parameters(int(rng.integers(2**31))), powers, strict=True)
    ]
    if draw(st.booleans()):  # logits up to ±1000
        W, b = parameters[-1]
        parameters[-1] = W * (1000 / max(1, np.abs(W).sum(axis=0).max())), b
    if draw(st.booleans()) and len(parameters) > 1:  # dead and exactly zero units
        W, b = parameters[0]
        W[:, 0] = 0
        b[0] = draw(st.sampled_from([0.0, -50.0]))
    X = rng.normal(size=(batch, network.n_in)) * draw(st.sampled_from([1.0, 1.0, 1e-6, 30.0]))
    X[rng.random(X.shape) < 0.1] = 0
    Y = rng.random((batch, network.n_out))
    if network.output == "softmax":
        Y = np.eye(network.n_out)[rng.integers(network.n_out, size=batch)]
        Y[::2] = rng.dirichlet(np.ones(network.n_out), size=len(Y[::2]))
    elif draw(st.booleans()):
        Y = np.rint(Y)

    def rounded(array):
        return array.astype(dtype).astype(np.float64)

    return Problem(network, dtype, [(rounded(W), rounded(b)) for W, b in parameters], rounded(X), rounded(Y))


def models(problem):
    for backend in BACKENDS:
        if problem.dtype in backend.dtypes:
            yield backend.name, backend.build(problem.network, problem.parameters, problem.dtype)


@pytest.mark.parametrize("operation", ["forward", "gradient", "train"])
@pytest.mark.slow
def test_every_backend_is_within_its_bound_of_the_exact_result(operation):
    @common
    @given(problems())
    def check(problem):
        expected = expectation.expect_result(problem, operation)
        for name, model in models(problem):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                evidence = expected.check(model)
            assert evidence.ok, f"{name}: {evidence.reason}"

    check()


@pytest.mark.slow
@common
@given(problems())
def test_a_batch_is_the_sum_of_its_samples_and_the_same_from_every_backend(problem):
    X, Y, n = problem.X, problem.Y, len(problem.X)
    analysis, pairs = Analysis(problem.network, problem.dtype), exact_pairs(problem.parameters)
    forward = analysis.forward(pairs, exact(X))
    # Both sides of a comparison may have an error of up to the bound.
    allowed = 2 * flat_bounded(analysis.gradient(pairs, forward, exact(Y))).error
    results = {}
    for name, model in models(problem):
        _, gradient = model.gradient(X, Y, reduction="sum")
        singly = [flat(model.gradient(X[s : s + 1], Y[s : s + 1])[1]) for s in range(n)]
        results[name] = flat(gradient)
        assert (np.abs(np.sum(singly, axis=0) - results[name]) <= allowed).all(), name
        rows = np.array([model.forward(x) for x in X])
        assert (np.abs(model.forward(X) - rows) <= 2 * forward.outputs.error).all(), name
    first = next(iter(results.values()))
    for name, gradient in results.items():
        assert (np.abs(gradient - first) <= allowed).all(), name


@st.composite
def laid_out(draw, array):
    """The same values in another layout: order, strides, direction, writeability."""
    array = np.array(array, order=draw(st.sampled_from("CF")))
    for axis in range(array.ndim):
        if draw(st.booleans()):  # reversed in memory
            array = np.flip(np.flip(array, axis).copy(order="K"), axis)
        if draw(st.booleans()):  # every other element of a larger array
            wide = np.full([2 * n if a == axis else n for a, n in enumerate(array.shape)], np.nan)
            view = wide[tuple(slice(None, None, 2 if a == axis else 1) for a in range(array.ndim))]
            view[...] = array
            array = view
    array.flags.writeable = draw(st.booleans())
    return array


@pytest.mark.slow
@common
@given(st.data())
def test_the_layout_of_an_array_does_not_matter(data):
    problem = data.draw(problems(dtypes=("float64",)))
    parameters = [(data.draw(laid_out(W)), data.draw(laid_out(b))) for W, b in problem.parameters]
    X, Y = data.draw(laid_out(problem.X)), data.draw(laid_out(problem.Y))
    x = data.draw(laid_out(problem.X[0]))
    analysis, pairs = Analysis(problem.network, problem.dtype), exact_pairs(problem.parameters)
    outputs = analysis.forward(pairs, exact(problem.X)).outputs
    gradient = flat_bounded(analysis.gradient(pairs, analysis.forward(pairs, exact(problem.X)), exact(problem.Y)))
    for backend in BACKENDS:
        model = backend.build(problem.network, parameters)
        # The layout may change the order of a sum, so two results may differ by twice the bound.
        for computed, bounded in (
            (model.forward(x), outputs[0]),
            (model.forward(X), outputs),
            (flat(model.gradient(X, Y, reduction="sum")[1]), gradient),
        ):
            assert (np.abs(computed - bounded.value) <= 2 * bounded.error).all(), backend.name
        np.testing.assert_array_equal(flat(model.parameters()), flat(problem.parameters))
