"""The computational graph: its nodes, its order, its derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from impls import Network, graph
from impls.graph import (
    Add,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    GraphError,
    HalfSquaredError,
    Input,
    Linear,
    MeanSquaredError,
    Mul,
    ReLU,
    Sigmoid,
    Softmax,
    Tanh,
    backward,
    forward,
    sgd_update,
    topological_sort,
)

RANDOM = np.random.default_rng(7)
ONE_HOT = np.eye(3)[[0, 2, 1, 1]]


def draw(*shape):
    return RANDOM.normal(size=shape)


def inputs(*values):
    return [Input(f"input {i}", value) for i, value in enumerate(values)]


def run(node):
    order = topological_sort(node)
    forward(order)
    backward(order)
    return order


CASES = {
    "add": (Add, draw(4, 3), draw(4, 3), draw(4, 3)),
    "add broadcasts": (Add, draw(4, 3), draw(3), draw(4, 1), draw()),
    "mul": (Mul, draw(4, 3), draw(4, 3), draw(4, 3)),
    "mul broadcasts": (Mul, draw(4, 3), draw(3), draw(1, 3), draw()),
    "mul with zeros": (Mul, np.array([0.0, 2.0, 0.0]), np.array([3.0, 0.0, 0.0]), draw(3)),
    "linear": (Linear, draw(4, 3), draw(3, 2), draw(2)),
    "linear of one sample": (Linear, draw(3), draw(3, 2), draw(2)),
    "linear of batches": (Linear, draw(2, 4, 3), draw(3, 2), draw(2)),
    "losses of single numbers": (MeanSquaredError, draw(), draw()),
    "linear with one bias": (Linear, draw(4, 3), draw(3, 2), draw(1)),
    "sigmoid": (Sigmoid, draw(4, 3)),
    "tanh": (Tanh, draw(4, 3)),
    "relu": (ReLU, draw(4, 3)),
    "softmax": (lambda z: Mul(Softmax(z), Input("by", np.arange(12.0).reshape(4, 3))), draw(4, 3)),
    "half squared error": (HalfSquaredError, draw(4, 3), draw(4, 3)),
    "mean squared error": (MeanSquaredError, draw(4, 3), draw(4, 3)),
    "mean squared error of columns": (MeanSquaredError, draw(4), draw(4, 1)),
    "binary cross-entropy": (BinaryCrossEntropy, RANDOM.uniform(size=(4, 3)), draw(4, 3)),
}


def central_difference(build, values, which, place, step=1e-6):
    ends = []
    for sign in (1, -1):
        moved = [np.array(value, float) for value in values]
        moved[which][place] += sign * step
        ends.append(np.sum(forward(topological_sort(build(*inputs(*moved))))))
    return (ends[0] - ends[1]) / (2 * step)


@pytest.mark.parametrize(("build", "values"), [(case[0], case[1:]) for case in CASES.values()], ids=CASES)
def test_gradients_are_the_central_differences(build, values):
    sources = inputs(*values)
    run(build(*sources))
    for which, source in enumerate(sources):
        assert source.gradient.shape == np.shape(values[which])
        expected = [central_difference(build, values, which, place) for place in np.ndindex(np.shape(values[which]))]
        assert_allclose(np.ravel(source.gradient), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_categorical_cross_entropy(reduction):
    """Against the formula: central differences would break the rule that targets sum to 1."""
    y, z = inputs(ONE_HOT, draw(4, 3))
    loss = CategoricalCrossEntropy(y, z, reduction)
    run(loss)
    share = np.exp(z.value) / np.exp(z.value).sum(axis=1, keepdims=True)
    losses = -np.log(share[ONE_HOT.astype(bool)])
    size = 4 if reduction == "mean" else 1
    assert_allclose(loss.value, losses.sum() / size, rtol=1e-14)
    assert_allclose(z.gradient, (share - ONE_HOT) / size, rtol=1e-12, atol=1e-15)
    assert_allclose(y.gradient, -np.log(share) / size, rtol=1e-12)


def test_the_derived_formula_of_two_layers():
    """Linear, Sigmoid, Linear, MSE: dC/dw1 = -2/m Σ (y - l2) w2 s (1 - s) x, written out here sample by sample."""
    x, y = np.array([[-1.0, -2.0], [-1.0, -2.0]]), np.array([1.0, 2.0])
    W1, b1, w2, b2 = np.array([[2.0], [3.0]]), np.array([-3.0]), 2.0, -3.0
    expected = np.zeros(2)
    for sample in range(2):
        s = 1 / (1 + np.exp(-(x[sample] @ W1[:, 0] + b1[0])))
        expected -= 2 / 2 * (y[sample] - (w2 * s + b2)) * w2 * s * (1 - s) * x[sample]
    weights = Input("W1", W1)
    hidden = Sigmoid(Linear(Input("X", x), weights, Input("b1", b1)))
    run(MeanSquaredError(Input("y", y), Linear(hidden, Input("W2", [[w2]]), Input("b2", [b2]))))
    assert_allclose(weights.gradient[:, 0], expected, rtol=1e-14)


def test_the_edges_of_the_activations():
    z, large = inputs([-1.0, 0.0, 2.0], [[1000.0, 0.0]])
    run(ReLU(z))
    assert_array_equal(z.gradient, [0, 0, 1])
    assert_array_equal(forward(topological_sort(Softmax(large))), [[1, 0]])
    assert forward(topological_sort(CategoricalCrossEntropy(Input("y", [[0.0, 1.0]]), large))) == 1000


def test_several_consumers_are_summed():
    (x,) = inputs(3.0)
    run(Add(Mul(x, x), Sigmoid(x), x, x))
    sigmoid = 1 / (1 + np.exp(-3.0))
    assert_allclose(x.gradient, 2 * 3 + sigmoid * (1 - sigmoid) + 2, rtol=1e-15)


def test_a_second_pass_does_not_add_to_the_first():
    x, y = inputs(3.0, 4.0)
    order = run(Mul(x, y))
    backward(order)
    assert (x.gradient, y.gradient) == (4, 3)


def test_the_last_of_several_results_is_differentiated():
    x, y = inputs(3.0, 4.0)
    product, total = Mul(x, y), Add(x, Input("z", 1.0))
    order = topological_sort(product, total)
    forward(order)
    backward(order)
    assert (product.value, total.value) == (12, 4)
    assert sorted(node.gradient for node in (product, total)) == [0, 1]
    last = order[-1]
    assert (x.gradient, y.gradient) == ((4, 3) if last is product else (1, 0))


def test_a_large_argument_overflows_nowhere():
    """pytest turns warnings into errors."""
    (z,) = inputs([-1000.0, -700.0, 0.0, 1000.0])
    assert_allclose(forward(topological_sort(Sigmoid(z))), [0, np.exp(-700), 0.5, 1], rtol=1e-15)
    run(BinaryCrossEntropy(Input("y", [0.0, 0.0, 1.0, 1.0]), z))
    assert_allclose(z.gradient, [0, np.exp(-700) / 4, -0.125, 0], rtol=1e-14)


def test_sgd_update_descends():
    x, y = inputs([1.0, 2.0], [3.0, 4.0])
    run(Mul(x, y))
    sgd_update([x], learning_rate=0.5)
    assert_array_equal(x.value, [-0.5, 0.0])
    assert_array_equal(y.value, [3.0, 4.0])
    sgd_update([y])
    assert_array_equal(y.value, [2.99, 3.98])


def test_integers_become_floats_and_float32_stays():
    total = Add(*inputs(4, 5, 10))
    assert forward(topological_sort(total)) == 19
    assert total.value.dtype == np.float64
    x, W, b, y = inputs(*(np.ones(shape, np.float32) for shape in ((2, 3), (3, 1), (1,), (2, 1))))
    order = run(MeanSquaredError(y, Sigmoid(Linear(x, W, b))))
    sgd_update([W, b], 0.1)
    assert {node.value.dtype for node in order} | {node.gradient.dtype for node in order} == {np.dtype(np.float32)}


@st.composite
def graphs(draw_one):
    """Nodes of a random graph. Each is a sum of earlier nodes, which may occur twice."""
    nodes = [Input("x0", 1.0)]
    for index in range(1, draw_one(st.integers(2, 12))):
        chosen = draw_one(st.lists(st.sampled_from(nodes), max_size=4))
        nodes.append(Add(*chosen, name=f"x{index}") if chosen else Input(f"x{index}", 1.0))
    return nodes


@pytest.mark.slow
@given(graphs())
def test_the_order_and_the_derivatives_are_those_of_networkx(nodes):
    networkx = pytest.importorskip("networkx")
    result = Add(*nodes[1:], name="result")
    order = topological_sort(result)
    edges = networkx.MultiDiGraph([(source, node) for node in [*nodes, result] for source in node.inputs])
    edges.add_node(result)
    assert set(order) == networkx.ancestors(edges, result) | {result}
    assert len(order) == len(set(order))
    assert order[-1] is result
    place = {node: index for index, node in enumerate(order)}
    assert all(place[source] < place[node] for source, node in edges.edges() if node in place)
    forward(order)
    backward(order)
    for node in order[:-1]:  # the derivative of a sum with respect to a node is the number of paths between them
        paths = networkx.adjacency_matrix(edges, order).toarray()
        total = np.linalg.inv(np.eye(len(order)) - paths)[place[node], place[result]]
        assert node.gradient == pytest.approx(total)


def test_a_cycle_is_named():
    x = Input("x", 1.0)
    one = Add(x, name="one")
    two = Mul(one, name="two")
    beyond = Sigmoid(two, name="beyond")
    one.inputs = (x, two)
    with pytest.raises(GraphError, match=r"^the graph has a cycle: (one <- two <- one|two <- one <- two)$"):
        topological_sort(beyond)
    one.inputs = (one,)
    with pytest.raises(GraphError, match=r"^the graph has a cycle: one <- one$"):
        topological_sort(beyond)


def test_the_error_for_a_long_cycle_names_some_nodes():
    nodes = [Input("x", 1.0)]
    for index in range(20_000):
        nodes.append(Sigmoid(nodes[-1], name=f"s{index}"))
    nodes[1].inputs = (nodes[-1],)
    with pytest.raises(GraphError, match=r"^the graph has a cycle: (s\d+ <- ){5}\(19991 more\)( <- s\d+){5}$"):
        topological_sort(nodes[-1])


def test_a_missing_feed_is_named():
    x, y = Input("x"), Input("y")
    order = topological_sort(Add(x, y))
    with pytest.raises(GraphError, match=r"^y has no value: pass a value to forward or to Input$"):
        forward(order, {x: 1.0})
    assert forward(order, {x: 1.0, y: 2.0}) == 3
    assert forward(order, {y: 5.0}) == 6  # x keeps its value


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (
            lambda: forward(topological_sort(Linear(*inputs(draw(2, 3), draw(2, 3), draw(3))))),
            r"^Linear cannot be computed from input 0 \(2, 3\), input 1 \(2, 3\), input 2 \(3,\): matmul",
        ),
        (
            lambda: forward(topological_sort(Linear(*inputs(draw(2, 3), draw(3), draw(1))))),
            r"Linear cannot be computed .*: W must be \(n_in, n_out\) and b \(n_out,\)$",
        ),
        (
            lambda: forward(topological_sort(Linear(*inputs(draw(4, 3), draw(3, 1), draw(5))))),
            r"Linear cannot be computed .*: W must be \(n_in, n_out\) and b \(n_out,\)$",
        ),
        (
            lambda: forward(topological_sort(MeanSquaredError(*inputs(draw(2), draw(3))))),
            r"MeanSquaredError cannot be computed .*: y and a must have the same shape$",
        ),
        (
            lambda: forward(topological_sort(Add(*inputs(draw(2), draw(3)), name="total"))),
            r"^total cannot be computed from input 0 \(2,\), input 1 \(3,\): ",
        ),
        (
            lambda: forward([], {Add(Input("x")): 1.0}),
            r"^cannot set the value of Add\('Add'\): only Input nodes can be fed$",
        ),
        (lambda: forward([], {"x": 1.0}), r"^cannot set the value of 'x': only Input nodes can be fed$"),
        (
            lambda: Add(3, Input("x")),
            r"^inputs of Add must be nodes, got 3; wrap a number or an array in Input\(value=…\)$",
        ),
        (lambda: topological_sort([Input("x")]), r"^results must be nodes, got \[Input\('x'\)\]; "),
        (lambda: sgd_update([Add(Input("x"))]), r"^cannot update the value of Add\('Add'\): only Input nodes can"),
        (lambda: backward(topological_sort(Add(Input("x", 1)))), r"has no value: run forward first$"),
        (lambda: sgd_update([Input("W", 1.0)]), r"^W has no gradient: run backward first$"),
    ],
)
def test_errors_name_the_node(attempt, message):
    with pytest.raises(GraphError, match=message):
        attempt()


@pytest.mark.parametrize("value", ["text", [1j], [None]])
def test_values_are_real_numbers(value):
    with pytest.raises(TypeError, match=r"^x must hold real numbers, got dtype"):
        Input("x", value)


def test_the_check_of_several_consumers_can_fail(monkeypatch):
    """A backward pass that ignores all consumers except the last fails the tests above."""

    def forgetful(order):
        for node in order:
            node.gradient = np.ones_like(node.value)
        for node in reversed(order):
            values = [source.value for source in node.inputs]
            for source, passed in zip(node.inputs, node.partials(node.gradient, *values), strict=True):
                source.gradient = passed

    monkeypatch.setattr("tests.test_graph.backward", forgetful)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        test_several_consumers_are_summed()
    with pytest.raises(AssertionError, match="comparison failed"):  # of a derivative, in the last line of that test
        test_the_order_and_the_derivatives_are_those_of_networkx()


def test_the_backend_has_its_gradient_from_the_nodes(monkeypatch):
    """Doubling the derivative of a node doubles the gradient of the layer before it, but not of the layer after it."""
    network = Network((3, 4, 2))
    model = graph.Model(network, network.random_parameters(), np.dtype(np.float64))
    X, Y = draw(5, 3), draw(5, 2)
    _, right = model.gradient(X, Y)
    derivative = Linear.partials
    monkeypatch.setattr(Linear, "partials", lambda *of: [2 * next(passed := iter(derivative(*of))), *passed])
    _, wrong = model.gradient(X, Y)
    assert_allclose(wrong[0][0], 2 * right[0][0], rtol=1e-14)
    assert_array_equal(wrong[1][0], right[1][0])
