"""The miniflow tutorial: the nodes of a computational graph, and stochastic gradient descent on a regression."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from bench.tutorials import datasets, quartic
from bench.tutorials.programs import Computation, Figure, Program, Setting, Tutorial
from impls import Array, Network
from impls.graph import Add, Input, Linear, MeanSquaredError, Mul, Node, Sigmoid, backward, forward, topological_sort

SAMPLES = datasets.locked(np.array([[-1.0, -2.0], [-1.0, -2.0]]))
TARGETS = np.array([1.0, 2.0])
WEIGHTS, BIASES = np.array([[2.0], [3.0]]), np.array([-3.0])
MATRIX = datasets.locked(np.array([[1.0, 2.0], [3.0, 4.0]]))
EPOCHS, SIZE = 100, 11
TRAINING = "SGD"


def _value(node_class: Callable[..., Node], *values: float | list[float]) -> Array:
    return np.asarray(forward(topological_sort(node_class(*(Input(value=value) for value in values)))))


def _product() -> SimpleNamespace:
    """The value and the gradients of (x + y) z."""
    x, y, z = Input("x", -2.0), Input("y", 5.0), Input("z", -4.0)
    order = topological_sort(Mul(Add(x, y), z))
    value = forward(order)
    backward(order)
    return SimpleNamespace(f=value, gradients=[x.gradient, y.gradient, z.gradient])


def _network() -> SimpleNamespace:
    """The nodes of MSE(y, Sigmoid(Linear(X, W, b))) after a forward and a backward pass."""
    X, W, b, y = Input("X", SAMPLES), Input("W", WEIGHTS), Input("b", BIASES), Input("y", TARGETS)
    linear = Linear(X, W, b)
    sigmoid = Sigmoid(linear)
    cost = MeanSquaredError(y, sigmoid)
    order = topological_sort(cost)
    forward(order)
    backward(order)
    return SimpleNamespace(X=X, y=y, W=W, b=b, linear=linear, sigmoid=sigmoid, cost=cost)


def _layer(W: list[list[float]], b: list[float], X: Array, output: str) -> Callable[[int], Setting]:
    network = Network((2, 2), output=output)
    return lambda seed: Setting(network, [(np.array(W), np.array(b))], X, np.zeros_like(X))


def _outputs(runs: dict[int, SimpleNamespace], X: Array) -> Array:
    return np.asarray(runs[0].model.forward(X))


def _cost(seed: int) -> Setting:
    network = Network((2, 1), output="sigmoid", loss="mean_squared_error")
    return Setting(network, [(WEIGHTS, BIASES)], SAMPLES, TARGETS.reshape(-1, 1))


def _cost_gradient(runs: dict[int, SimpleNamespace]) -> tuple[float, list[tuple[Array, Array]]]:
    loss, gradient = runs[0].model.gradient(SAMPLES, TARGETS.reshape(-1, 1))
    return loss, gradient


def nodes() -> Node:
    """Return the node of the regression's loss, which depends on all other nodes."""
    hidden = Sigmoid(Linear(Input("X"), Input("W1"), Input("b1"), "Linear 1"))
    return MeanSquaredError(Input("y"), Linear(hidden, Input("W2"), Input("b2"), "Linear 2"), name="MSE")


def regression(data: Callable[[], tuple[Array, Array]]) -> Callable[[int], Setting]:
    """Return a function from a seed to the setting of the regression.

    The network has a hidden layer of 10 sigmoid nodes and a linear output. Every update uses a new batch of 11 samples,
    drawn with replacement. The seed determines first the weights, in the tutorial's order, and then all batches.
    """

    def setting(seed: int) -> Setting:
        X, Y = data()
        random = np.random.RandomState(seed)
        network = Network((X.shape[1], 10, 1), output="identity", loss="mean_squared_error")
        return Setting(
            network,
            [(random.randn(n_in, n_out), np.zeros(n_out)) for n_in, n_out in network.shapes],
            X,
            Y,
            EPOCHS,
            learning_rate=0.01,
            batches=random.randint(0, len(X), (EPOCHS, len(X) // SIZE, SIZE)),
        )

    return setting


def tutorial(boston: bool = False) -> Tutorial:
    """Return the tutorial. The regression is on Boston house prices if ``boston``, else on ``load_diabetes``."""
    data, name = (datasets.boston, "13-10-1 on Boston") if boston else (datasets.diabetes, "10-10-1 on load_diabetes")
    return Tutorial(
        key="miniflow",
        title="a computational graph, and gradient descent on it (Russian)",
        parts=[*EXAMPLES, Program(f"{TRAINING}, {name}, batches of {SIZE}, {EPOCHS} epochs", regression(data))],
        explanation=[
            "For the regression on Boston house prices, the tutorial shows a curve of the loss and prints no figure. "
            "The backends are therefore compared only with each other. scikit-learn has withdrawn the Boston data set, "
            "because one of its columns assumes that racial segregation raises prices. mlpbench uses load_diabetes "
            "instead, with standardized inputs and targets; --boston fetches the original from openml.org.",
        ],
    )


EXAMPLES: list[Program | Computation] = [
    Computation(
        "single nodes",
        lambda: None,
        [
            Figure("Add(4, 5, 10)", "19", lambda _: _value(Add, 4, 5, 10), "exact"),
            Figure("Mul(4, 5, 10)", "200", lambda _: _value(Mul, 4, 5, 10), "exact"),
            Figure("MSE", "23.4166666667", lambda _: _value(MeanSquaredError, [1, 2, 3], [4.5, 5, 10])),
        ],
        by_graph=True,
    ),
    Computation(
        "(x + y) z at -2, 5, -4",
        _product,
        [
            Figure("value", "-12", lambda result: result.f, "exact"),
            Figure("gradients", "-4 -4 3", lambda result: result.gradients, "exact"),
        ],
        by_graph=True,
    ),
    Program(
        "product of two matrices",
        _layer([[5.0, 6.0], [7.0, 8.0]], [0.0, 0.0], MATRIX, "identity"),
        [Figure("outputs", "19 22 43 50", lambda runs: _outputs(runs, MATRIX), "exact")],
    ),
    Program(
        "Linear",
        _layer([[5.0, 6.0], [7.0, 8.0]], [-1.0, -1.0], MATRIX, "identity"),
        [Figure("outputs", "18 21 42 49", lambda runs: _outputs(runs, MATRIX), "exact")],
    ),
    Program(
        "Sigmoid(Linear)",
        _layer([[2.0, -3.0], [2.0, -3.0]], [-3.0, -5.0], SAMPLES, "sigmoid"),
        [
            Figure(
                "outputs",
                "1.23394576e-04 9.82013790e-01 1.23394576e-04 9.82013790e-01",
                lambda runs: _outputs(runs, SAMPLES),
            )
        ],
    ),
    Computation(
        "MSE(y, Sigmoid(Linear)), node by node",
        _network,
        [
            Figure("Linear", "-11 -11", lambda nodes: nodes.linear.value, "exact"),
            Figure("Sigmoid", "1.67014218e-05 1.67014218e-05", lambda nodes: nodes.sigmoid.value),
            Figure("MSE", "2.4999498960133932", lambda nodes: nodes.cost.value),
            Figure("gradient of Sigmoid", "-0.9999833 -1.9999833", lambda nodes: nodes.sigmoid.gradient),
            Figure("gradient of Linear", "-1.67008640e-05 -3.34020069e-05", lambda nodes: nodes.linear.gradient),
            Figure(
                "gradient of X",
                "-3.34017280e-05 -5.01025919e-05 -6.68040138e-05 -1.00206021e-04",
                lambda nodes: nodes.X.gradient,
            ),
            Figure("gradient of y", "0.9999833 1.9999833", lambda nodes: nodes.y.gradient),
            Figure("gradient of W", "5.01028709e-05 1.00205742e-04", lambda nodes: nodes.W.gradient),
            Figure("gradient of b", "-5.01028709e-05", lambda nodes: nodes.b.gradient),
        ],
        by_graph=True,
    ),
    Program(
        "MSE(y, Sigmoid(Linear)), as a network 2-1",
        _cost,
        [
            Figure("cost", "2.4999498960133932", lambda runs: _cost_gradient(runs)[0]),
            Figure("gradient of W", "5.01028709e-05 1.00205742e-04", lambda runs: _cost_gradient(runs)[1][0][0]),
            Figure("gradient of b", "-5.01028709e-05", lambda runs: _cost_gradient(runs)[1][0][1]),
        ],
    ),
    quartic.COMPUTATION,
]
