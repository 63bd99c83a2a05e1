"""The network as a computational graph, differentiated by reverse-mode automatic differentiation.

A node computes its value from the values of its inputs. Given the derivative of the graph's result with respect to the
node, the node also computes the derivatives with respect to its inputs. ``backward`` applies the chain rule from node
to node, so ``Model`` contains no formula of a gradient. The nodes can form any other graph, too::

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
    """The graph cannot be sorted, computed or differentiated; the one-line message names the node."""


class Node(ABC):
    """A node of the graph, computed from the nodes ``inputs``.

    ``value`` is the result of the last forward pass. ``gradient``, of the same shape, is the result of the last
    backward pass: the derivative of the graph's result with respect to this node.
    """

    def __init__(self, *inputs: Node, name: str = ""):
        self.inputs = inputs
        self.name = name or type(self).__name__
        for source in inputs:
            _check_node(source, f"inputs of {self.name} must be nodes")
        self.value: Any = None
        self.gradient: Any = None

    @abstractmethod
    def compute(self, *values: Any) -> Any:
        """Compute the node's value from the values of its inputs. Raises ValueError if the shapes do not match."""

    @abstractmethod
    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        """Compute the derivatives of the graph's result with respect to each input of this node.

        ``gradient`` is the derivative of the graph's result with respect to this node; ``values`` are the values of the
        inputs.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class Input(Node):
    """A node whose value is set by the caller, here or in ``forward``: data, weights or biases.

    The node keeps its value until the caller sets another.
    """

    def __init__(self, name: str = "", value: ArrayLike | None = None):
        super().__init__(name=name)
        if value is not None:
            self.feed(value)

    def feed(self, value: ArrayLike) -> None:
        """Set the value; integers become float64. Raises TypeError if the value does not hold real numbers."""
        array = _check.real_array(self.name, value)
        self.value = array if array.dtype.kind == "f" else array.astype(np.float64)

    def compute(self) -> Any:
        """Return the value that the caller set. Raises GraphError if there is none."""
        if self.value is None:
            raise GraphError(f"{self.name} has no value: pass a value to forward or to Input")
        return self.value

    def partials(self, gradient: Any) -> Iterable[Any]:
        """Return no derivatives: the node has no inputs."""
        return ()


class Add(Node):
    """Sum of any number of inputs, with broadcasting."""

    def compute(self, *values: Any) -> Any:
        return sum(values)

    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        return (_summed_to(np.shape(value), gradient) for value in values)


class Mul(Node):
    """Element-wise product of any number of inputs, with broadcasting."""

    def compute(self, *values: Any) -> Any:
        return prod(values)

    def partials(self, gradient: Any, *values: Any) -> Iterable[Any]:
        for i, value in enumerate(values):
            other_factors = prod(values[:i] + values[i + 1 :])  # dividing the full product by value would fail for 0
            yield _summed_to(np.shape(value), gradient * other_factors)


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
    """max(z, 0); the derivative at 0 is 0."""

    def compute(self, z: Any) -> Any:
        return np.maximum(z, 0)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield gradient * (z > 0)


class Softmax(Node):
    """exp(z) divided by the sum of exp(z) along the last axis."""

    def compute(self, z: Any) -> Any:
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def partials(self, gradient: Any, z: Any) -> Iterable[Any]:
        yield self.value * (gradient - (gradient * self.value).sum(axis=-1, keepdims=True))


class Loss(Node):
    """Loss of predictions a against targets y, both (batch, n_out).

    The value is the mean or the sum of the samples' losses, as selected by ``reduction``. One-dimensional values are
    treated as columns, (batch, 1). The docstring of ``impls.Network`` has the formulas.
    """

    def __init__(self, y: Node, a: Node, reduction: str = "mean", name: str = ""):
        super().__init__(y, a, name=name)
        self.mean = _check.reduction(reduction)

    @abstractmethod
    def sample_losses(self, y: Array, a: Array) -> Array:
        """Compute the loss of each sample, (batch,)."""

    @abstractmethod
    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        """Compute the derivatives of the summed loss with respect to y and to a."""

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
    """Half the sum of (a - y)² over the outputs."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray(((a - y) ** 2).sum(axis=1) / 2)

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        return y - a, a - y


class MeanSquaredError(Loss):
    """Mean of (a - y)² over the outputs."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray(((a - y) ** 2).mean(axis=1))

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        by_a = 2 / y.shape[1] * (a - y)
        return -by_a, by_a


class BinaryCrossEntropy(Loss):
    """Cross-entropy between targets y and the sigmoid of the logits a."""

    def sample_losses(self, y: Array, a: Array) -> Array:
        return np.asarray((np.maximum(a, 0) - a * y + np.log1p(np.exp(-abs(a)))).sum(axis=1))

    def derivatives(self, y: Array, a: Array) -> tuple[Array, Array]:
        return -a, expit(a) - y


class CategoricalCrossEntropy(Loss):
    """Cross-entropy between targets y, whose rows sum to 1, and the softmax of the logits a."""

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
"""The number of nodes of a cycle that an error message names."""


def topological_sort(*results: Node) -> list[Node]:
    """Sort all nodes that the results depend on, so that every node follows its inputs.

    A single result comes last. Uses Kahn's algorithm (1962), which repeatedly removes a node without unsorted inputs.
    Raises GraphError if the graph has a cycle, or if a result or an input is not a node.
    """
    consumers: dict[Node, list[Node]] = {}
    waits_for: dict[Node, int] = {}
    unvisited = list(results)
    while unvisited:
        node = unvisited.pop()
        _check_node(node, "results must be nodes")
        if node not in waits_for:
            waits_for[node] = len(node.inputs)
            for source in node.inputs:
                consumers.setdefault(source, []).append(node)
                unvisited.append(source)
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
    """Set the input values in ``feed``, compute every node of a sorted graph, and return the last node's value.

    Raises GraphError if an input has no value, or if a node cannot be computed from the values of its inputs.
    """
    for target, value in (feed or {}).items():
        if not isinstance(target, Input):
            raise GraphError(f"cannot set the value of {_check.abbreviated(target)}: only Input nodes can be fed")
        target.feed(value)
    for node in order:
        try:
            node.value = node.compute(*[source.value for source in node.inputs])
        except GraphError:
            raise
        except ValueError as error:
            shapes = ", ".join(f"{source.name} {np.shape(source.value)}" for source in node.inputs)
            raise GraphError(f"{node.name} cannot be computed from {shapes}: {' '.join(str(error).split())}") from error
    return order[-1].value


def backward(order: Sequence[Node]) -> None:
    """Set ``gradient`` of every node of a sorted graph to the derivative of the last node's value.

    If the last value is an array, the derivative is that of its sum. A node that is an input in several places gets the
    sum of the derivatives from all of them. A node that the last node does not depend on gets 0. Raises GraphError if a
    node has no value.
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
        for source, contribution in zip(node.inputs, node.partials(node.gradient, *values), strict=True):
            source.gradient = contribution if source.gradient is None else source.gradient + contribution


def sgd_update(trainables: Iterable[Node], learning_rate: float = 0.01) -> None:
    """Subtract learning_rate × gradient from the value of each Input node.

    Raises GraphError for a node that is not an Input or has no gradient.
    """
    for node in trainables:
        if not isinstance(node, Input):
            raise GraphError(f"cannot update the value of {_check.abbreviated(node)}: only Input nodes can be updated")
        if node.gradient is None:
            raise GraphError(f"{node.name} has no gradient: run backward first")
        node.value = node.value - learning_rate * node.gradient


class Model(_backend.Model):
    """A computational graph of NumPy operations, with gradients by the chain rule."""

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
        prediction = logits if issubclass(loss, BinaryCrossEntropy | CategoricalCrossEntropy) else outputs
        self._to_outputs = topological_sort(outputs)
        self._to_loss = topological_sort(loss(self._Y, prediction, reduction="sum"))
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
        raise GraphError(f"{rule}, got {_check.abbreviated(value)}; wrap a number or an array in Input(value=…)")


def _column(value: Array) -> Array:
    return value.reshape(-1, 1) if value.ndim < 2 else value


def _minus_log_softmax(z: Array) -> Array:
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z)


def _summed_to(shape: tuple[int, ...], gradient: Any) -> Any:
    """Sum a gradient to ``shape``, over the axes along which broadcasting had repeated the value."""
    if np.shape(gradient) == shape:
        return gradient
    extra_axes = gradient.ndim - len(shape)
    axes = tuple(axis for axis in range(gradient.ndim) if axis < extra_axes or shape[axis - extra_axes] == 1)
    return gradient.sum(axis=axes).reshape(shape)


def _cycle(nodes: Iterable[Node]) -> list[Node]:
    """Find a cycle; each node is followed by one of its inputs. Every node of ``nodes`` needs an input in ``nodes``."""
    candidates = set(nodes)
    node = next(iter(candidates))
    position: dict[Node, int] = {}
    while node not in position:
        position[node] = len(position)
        node = next(source for source in node.inputs if source in candidates)
    return [*list(position)[position[node] :], node]
