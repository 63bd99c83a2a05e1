"""The network as a computational graph: nodes that know their inputs, computed in order, differentiated in reverse.

A node computes its value from the values of its inputs, and, given the derivative of the graph's result by itself,
the derivatives by its inputs. That is all a node knows: ``backward`` is the chain rule from node to node, and ``Model``
holds no formula of a gradient. The nodes serve for other graphs too::

    x, y, z = Input("x", -2.0), Input("y", 5.0), Input("z", -4.0)
    order = topological_sort(Mul(Add(x, y), z))
    forward(order)   # -12.0
    backward(order)  # x.gradient, y.gradient, z.gradient are now -4.0, -4.0, 3.0
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from impls import _backend, _check
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Parameters


class GraphError(ValueError):
    """A graph that cannot be sorted, computed or differentiated; the text names the node, in one line."""


class Node(ABC):
    """What is computed from ``inputs``.

    ``value`` comes from the last forward pass. ``gradient``, of the same shape, comes from the last backward pass: the
    derivative of that pass's result by this node.
    """

    def __init__(self, *inputs: Node, name: str = ""):
        self.inputs = inputs
        self.name = name or type(self).__name__
        for source in inputs:
            _check_node(source, f"{self.name} takes nodes")
        self.value: Any = None
        self.gradient: Any = None

    @abstractmethod
    def compute(self, *values: Any) -> Any:
        """The value, from those of the inputs; ValueError where they do not go together."""

    @abstractmethod
    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        """Derivatives of the result by each of the inputs, from that by this node."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Input(Node):
    """A value from outside: data, weights, biases. It is given here, or fed to ``forward``, and stays."""

    def __init__(self, name: str = "", value: ArrayLike | None = None):
        super().__init__(name=name)
        if value is not None:
            self.feed(value)

    def feed(self, value: ArrayLike) -> None:
        """Set the value; integers become float64. TypeError if it does not hold real numbers."""
        array = _check.real_array(self.name, value)
        self.value = array if array.dtype.kind == "f" else array.astype(np.float64)

    def compute(self) -> Any:
        """The value as it was given."""
        if self.value is None:
            raise GraphError(f"{self.name} has no value: feed it to forward, or give it to Input")
        return self.value

    def partials(self, gradient: Any) -> Iterable[Any]:
        """None: it has no inputs."""
        return ()


class Add(Node):
    """Sum of any number of inputs, which broadcast."""

    def compute(self, *values: Any) -> Any:
        return sum(values)

    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        return (_summed_to(np.shape(value), gradient) for value in values)


class Mul(Node):
    """Product, element by element, of any number of inputs, which broadcast."""

    def compute(self, *values: Any) -> Any:
        return prod(values)

    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        for i, value in enumerate(values):
            others = prod(values[:i] + values[i + 1 :])  # not the product divided by value, which may be 0
            yield _summed_to(np.shape(value), gradient * others)


class Linear(Node):
    """X W + b for X (n_in,) or (batch, n_in), W (n_in, n_out) and b (n_out,)."""

    def __init__(self, X: Node, W: Node, b: Node, name: str = ""):
        super().__init__(X, W, b, name=name)

    def compute(self, X: Array, W: Array, b: Array) -> Any:
        if W.ndim != 2 or b.shape not in ((), (1,), W.shape[1:]):
            raise ValueError("W must be (n_in, n_out) and b (n_out,)")
        return X @ W + b

    def partials(self, gradient: Any, X: Array, W: Array, b: Array) -> Iterable[Any]:
        n_in, n_out = W.shape
        yield gradient @ W.T
        yield X.reshape(-1, n_in).T @ gradient.reshape(-1, n_out)
        yield _summed_to(b.shape, gradient)


class Sigmoid(Node):
    """1 / (1 + exp(-z))."""

    def compute(self, z: Any) -> Any:
        return expit(z)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield gradient * (self.value * (1 - self.value))


class Tanh(Node):
    """Hyperbolic tangent."""

    def compute(self, z: Any) -> Any:
        return np.tanh(z)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield gradient * (1 - self.value**2)


class ReLU(Node):
    """The larger of z and 0; its derivative at 0 is 0."""

    def compute(self, z: Any) -> Any:
        return np.maximum(z, 0)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield gradient * (z > 0)


class Softmax(Node):
    """exp(z) over its sum along the last axis."""

    def compute(self, z: Any) -> Any:
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield self.value * (gradient - (gradient * self.value).sum(axis=-1, keepdims=True))


class Loss(Node):
    """A loss of targets y against a, both (batch, n_out): the mean or sum, as ``reduction``, of the samples' losses.

    One-dimensional values are columns, (batch, 1). The formulas are in the docstring of ``impls.Network``.
    """

    def __init__(self, y: Node, a: Node, reduction: str = "mean", name: str = ""):
        super().__init__(y, a, name=name)
        self.mean = _check.reduction(reduction)

    @abstractmethod
    def sample_losses(self, y: Array, a: Array) -> Array:
        """Loss of each sample, (batch,)."""

    @abstractmethod
    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        """Derivatives of the summed loss by y and by a."""

    def compute(self, y: Array, a: Array) -> Any:
        y, a = _column(y), _column(a)
        if y.shape != a.shape:
            raise ValueError("y and a must have the same shape")
        total = self.sample_losses(y, a).sum()
        return total / len(y) if self.mean else total

    def partials(self, gradient: Any, y: Array, a: Array) -> Iterable[Any]:
        scale = gradient / len(_column(y)) if self.mean else gradient
        by_y, by_a = self.derivatives(_column(y), _column(a))
        return (scale * by_y).reshape(y.shape), (scale * by_a).reshape(a.shape)


class HalfSquaredError(Loss):
    """Half the sum over the outputs of (a - y)²."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray(((a - y) ** 2).sum(axis=1) / 2)

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        return y - a, a - y


class MeanSquaredError(Loss):
    """Mean over the outputs of (a - y)²."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray(((a - y) ** 2).mean(axis=1))

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        by_a = 2 / y.shape[1] * (a - y)
        return -by_a, by_a


class BinaryCrossEntropy(Loss):
    """Cross-entropy of targets y with the sigmoid of the logits a."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray((np.maximum(a, 0) - a * y + np.log1p(np.exp(-abs(a)))).sum(axis=1))

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        return -a, expit(a) - y


class CategoricalCrossEntropy(Loss):
    """Cross-entropy of targets y, whose rows sum to 1, with the softmax of the logits a."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray((y * _minus_log_softmax(a)).sum(axis=1))

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        minus_log = _minus_log_softmax(a)
        return minus_log, np.exp(-minus_log) - y


ACTIVATIONS: dict[str, type[Node]] = {"sigmoid": Sigmoid, "tanh": Tanh, "relu": ReLU, "softmax": Softmax}
LOSSES: dict[str, type[Loss]] = {
    "half_squared_error": HalfSquaredError,
    "mean_squared_error": MeanSquaredError,
    "binary_cross_entropy": BinaryCrossEntropy,
    "categorical_cross_entropy": CategoricalCrossEntropy,
}


MOST_NAMES = 10
"""Nodes of a cycle that an error names."""


def topological_sort(*results: Node) -> list[Node]:
    """All nodes that the results depend on, each after its inputs; one result comes last, and others anywhere.

    Kahn's algorithm (1962): take away nodes that wait for none. Raises GraphError where nodes wait for each other.
    """
    consumers: dict[Node, list[Node]] = {}
    waits_for: dict[Node, int] = {}
    found = list(results)
    while found:
        node = found.pop()
        _check_node(node, "results are nodes")
        if node not in waits_for:
            waits_for[node] = len(node.inputs)
            for source in node.inputs:
                consumers.setdefault(source, []).append(node)
                found.append(source)
    ready = [node for node, count in waits_for.items() if count == 0]
    order = []
    while ready:
        node = ready.pop()
        order.append(node)
        for consumer in consumers.get(node, ()):
            waits_for[consumer] -= 1
            if waits_for[consumer] == 0:
                ready.append(consumer)
    if len(order) < len(waits_for):
        names = [node.name for node in _cycle(waits_for.keys() - set(order))]
        if len(names) > MOST_NAMES:
            names[MOST_NAMES // 2 : -MOST_NAMES // 2] = [f"({len(names) - MOST_NAMES} more)"]
        raise GraphError(f"the graph has a cycle: {' <- '.join(names)}")
    return order


def forward(order: Sequence[Node], feed: Mapping[Input, ArrayLike] | None = None) -> Any:
    """Feed the inputs, compute every node of a sorted graph, and return the last one's value.

    Raises GraphError where an input was never fed, or where values do not go together.
    """
    for fed, value in (feed or {}).items():
        if not isinstance(fed, Input):
            raise GraphError(f"{_check.shown(fed)} cannot be fed: feed Input nodes")
        fed.feed(value)
    for node in order:
        try:
            node.value = node.compute(*[source.value for source in node.inputs])
        except GraphError:
            raise
        except ValueError as error:
            shapes = ", ".join(f"{source.name} {np.shape(source.value)}" for source in node.inputs)
            raise GraphError(f"{node.name} cannot be computed of {shapes}: {' '.join(str(error).split())}") from error
    return order[-1].value


def backward(order: Sequence[Node]) -> None:
    """Set ``gradient`` of every node of a sorted graph: the derivative of the last node, summed if it is an array.

    A node that several others take as input, or one of them twice, gets the sum of what they pass back; one that the
    last does not depend on gets 0.
    """
    for node in order:
        if node.value is None:
            raise GraphError(f"{node.name} has no value: run forward first")
        node.gradient = None
    order[-1].gradient = np.ones_like(order[-1].value)
    for node in reversed(order):
        if node.gradient is None:
            node.gradient = np.zeros_like(node.value)
            continue
        values = [source.value for source in node.inputs]
        for source, passed in zip(node.inputs, node.partials(node.gradient, *values), strict=True):
            source.gradient = passed if source.gradient is None else source.gradient + passed


def sgd_update(trainables: Iterable[Node], learning_rate: float = 0.01) -> None:
    """Subtract learning_rate × gradient from the value of each Input node."""
    for node in trainables:
        if not isinstance(node, Input):
            raise GraphError(f"{_check.shown(node)} cannot be updated: its value is computed, update Input nodes")
        if node.gradient is None:
            raise GraphError(f"{node.name} has no gradient: run backward first")
        node.value = node.value - learning_rate * node.gradient


class Model(_backend.Model):
    """A graph of nodes, gradients by the chain rule over it."""

    dtypes = ("float64", "float32")

    def _store(self, parameters: Parameters) -> None:
        self._X, self._Y = Input("X"), Input("Y")
        self._layers: list[tuple[Node, Node]] = []
        outputs: Node = self._X
        for layer, ((weights, biases), activation) in enumerate(
            zip(parameters, self.network.activations, strict=True), start=1
        ):
            W = Input(f"W{layer}", weights.astype(self.dtype))
            b = Input(f"b{layer}", biases.astype(self.dtype))
            self._layers.append((W, b))
            logits = Linear(outputs, W, b, name=f"Linear{layer}")
            outputs = ACTIVATIONS[activation](logits) if activation in ACTIVATIONS else logits
        loss = LOSSES[self.network.loss]
        compared = logits if issubclass(loss, BinaryCrossEntropy | CategoricalCrossEntropy) else outputs
        self._to_outputs = topological_sort(outputs)
        self._to_loss = topological_sort(loss(self._Y, compared, reduction="sum"))
        self._forward_sample = partial(self._quietly, self._sample)

    def _fetch(self) -> LayerArrays:
        return [(W.value, b.value) for W, b in self._layers]

    def _sample(self, x: Array, out: Array) -> None:
        self._X.value = x
        out[:] = forward(self._to_outputs)

    def _forward_batch(self, X: Array) -> Array:
        self._X.value = X
        return np.array(forward(self._to_outputs))

    def _loss(self, X: Array, Y: Array) -> float:
        self._X.value, self._Y.value = X, Y
        return float(forward(self._to_loss))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        total = self._loss(X, Y)
        backward(self._to_loss)
        return total, [(W.gradient, b.gradient) for W, b in self._layers]

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        weights, biases = zip(*self._layers, strict=True)
        losses = []
        for _ in range(descent.epochs):
            total = 0.0
            for start in range(0, len(X), descent.size):
                rows = slice(start, start + descent.size)
                total += self._loss(X[rows], Y[rows])
                backward(self._to_loss)
                scale = 1 / len(X[rows]) if descent.mean else 1
                sgd_update(weights, descent.learning_rate * scale)
                sgd_update(biases, descent.bias_learning_rate * scale)
            losses.append(total)
        return losses


def _check_node(value: Any, rule: str) -> None:
    if not isinstance(value, Node):
        raise GraphError(f"{rule}, not {_check.shown(value)}; a number or an array becomes one as Input(value=…)")


def _column(value: Array) -> Array:
    return value.reshape(-1, 1) if value.ndim < 2 else value


def _minus_log_softmax(z: Array) -> Array:
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z)


def _summed_to(shape: tuple[int, ...], gradient: Any) -> Any:
    """The gradient of a value of this shape, summed over the axes along which broadcasting had repeated it."""
    if np.shape(gradient) == shape:
        return gradient
    added = gradient.ndim - len(shape)
    axes = tuple(axis for axis in range(gradient.ndim) if axis < added or shape[axis - added] == 1)
    return gradient.sum(axis=axes).reshape(shape)


def _cycle(nodes: Iterable[Node]) -> list[Node]:
    """Nodes of a cycle, each followed by one of its inputs; every one of ``nodes`` has an input among them."""
    among = set(nodes)
    node = next(iter(among))
    place: dict[Node, int] = {}
    while node not in place:
        place[node] = len(place)
        node = next(source for source in node.inputs if source in among)
    return [*list(place)[place[node] :], node]
