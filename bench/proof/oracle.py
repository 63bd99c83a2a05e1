"""The oracle: the network in 50-digit arithmetic, with derivatives by dual numbers.

The oracle shares no code with the backends. It computes with mpmath numbers in lists, and differentiates in forward
mode instead of by back-propagation. A dual number is a value with its derivative along one direction in the space of
the parameters. When every operation propagates this derivative, the result is the exact directional derivative of the
loss (Griewank & Walther, Evaluating Derivatives, 2008, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import MPContext
from numpy.typing import ArrayLike

from impls import Network

mp = MPContext()
mp.dps = 50

Number = Any
"""An mpmath number."""


def numbers(values: ArrayLike) -> Any:
    """Convert a float, an array or nested lists of floats to mpmath numbers in nested lists, without rounding."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, (list, tuple)):
        return [numbers(value) for value in values]
    return mp.mpf(values)


@dataclass(frozen=True)
class Entry:
    """One parameter of a layer, counted from 0: W[i, j], or b[j] if i is None."""

    layer: int
    i: int | None
    j: int


class Oracle:
    """A network with parameters [(W, b), …], W (n_in, n_out) and b (n_out,).

    The parameters are arrays of floats or lists of mpmath numbers.
    """

    def __init__(self, network: Network, parameters: Sequence[tuple[Any, Any]]):
        self.network = network
        self._columns = [list(map(list, zip(*numbers(W), strict=True))) for W, _ in parameters]
        self._biases = [numbers(b) for _, b in parameters]

    def trace(self, x: ArrayLike) -> Trace:
        """Compute the forward pass of one sample x (n_in,)."""
        a = numbers(x)
        inputs, logits = [], []
        for columns, biases, activation in zip(self._columns, self._biases, self.network.activations, strict=True):
            inputs.append(a)
            z = [mp.fdot(zip(column, a, strict=True)) + b for column, b in zip(columns, biases, strict=True)]
            logits.append(z)
            a = _activate(activation, z)
        return Trace(self, inputs, logits, a)

    def entries(self) -> list[Entry]:
        """List all parameters."""
        return [
            Entry(layer, i, j)
            for layer, (n_in, n_out) in enumerate(self.network.shapes)
            for i in [*range(n_in), None]
            for j in range(n_out)
        ]

    def descended(
        self, X: ArrayLike, Y: ArrayLike, learning_rate: float, bias_learning_rate: float, mean: bool
    ) -> tuple[Number, Oracle]:
        """Return the summed loss of a batch, and the network after one step of gradient descent on the batch.

        X is (batch, n_in) and Y (batch, n_out). The step follows the mean of the samples' gradients if ``mean``, else
        their sum.
        """
        traces = [self.trace(x) for x in numbers(X)]
        targets = numbers(Y)
        total = mp.fsum(trace.loss(y) for trace, y in zip(traces, targets, strict=True))
        scale = mp.mpf(1) / len(traces) if mean else mp.mpf(1)
        weights = [list(map(list, zip(*columns, strict=True))) for columns in self._columns]
        biases = [list(b) for b in self._biases]
        for entry in self.entries():
            gradient = scale * mp.fsum(t.derivative(y, entry) for t, y in zip(traces, targets, strict=True))
            if entry.i is None:
                biases[entry.layer][entry.j] -= mp.mpf(bias_learning_rate) * gradient
            else:
                weights[entry.layer][entry.i][entry.j] -= mp.mpf(learning_rate) * gradient
        return total, Oracle(self.network, list(zip(weights, biases, strict=True)))

    def parameters(self) -> list[tuple[list[list[Number]], list[Number]]]:
        """Return [(W, b), …] as nested lists of mpmath numbers."""
        return [
            (list(map(list, zip(*columns, strict=True))), list(b))
            for columns, b in zip(self._columns, self._biases, strict=True)
        ]


@dataclass(frozen=True)
class Trace:
    """The forward pass of one sample: the inputs and the logits of every layer, and the outputs of the network."""

    oracle: Oracle
    inputs: list[list[Number]]
    logits: list[list[Number]]
    outputs: list[Number]

    def loss(self, y: Sequence[Any]) -> Number:
        """Return the loss of the sample for the targets y (n_out,)."""
        z, a, y = self.logits[-1], self.outputs, numbers(y)
        match self.oracle.network.loss:
            case "half_squared_error":
                return mp.fsum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / 2
            case "mean_squared_error":
                return mp.fsum((p - t) ** 2 for p, t in zip(a, y, strict=True)) / len(a)
            case "binary_cross_entropy":
                return mp.fsum(max(v, 0) - v * t + mp.log1p(mp.exp(-abs(v))) for v, t in zip(z, y, strict=True))
            case _:
                top = max(z)
                log_sum = mp.log(mp.fsum(mp.exp(v - top) for v in z))
                return mp.fsum(t * (log_sum - (v - top)) for v, t in zip(z, y, strict=True))

    def derivative(self, y: Sequence[Any], along: Entry | Sequence[tuple[Any, Any]]) -> Number:
        """Return the derivative of the loss with respect to one parameter, or along a direction.

        y (n_out,) are the targets. A direction is [(dW, db), …] in the shapes of the parameters.
        """
        if isinstance(along, Entry):
            width = len(self.logits[along.layer])
            step = 1 if along.i is None else self.inputs[along.layer][along.i]
            tangent = [step if j == along.j else mp.mpf(0) for j in range(width)]
            first = along.layer
        else:
            direction = [(list(map(list, zip(*numbers(dW), strict=True))), numbers(db)) for dW, db in along]
            tangent, first = self._parameter_tangent(direction[0], 0), 0
        for layer in range(first, len(self.logits)):
            if layer > first:
                activation = self.oracle.network.hidden
                derivatives = [_derivative(activation, z) for z in self.logits[layer - 1]]
                input_tangent = [d * t for d, t in zip(derivatives, tangent, strict=True)]
                tangent = [mp.fdot(zip(c, input_tangent, strict=True)) for c in self.oracle._columns[layer]]
                if not isinstance(along, Entry):
                    parameter_tangent = self._parameter_tangent(direction[layer], layer)
                    tangent = [t + p for t, p in zip(tangent, parameter_tangent, strict=True)]
        return self._loss_tangent(numbers(y), tangent)

    def _parameter_tangent(self, direction: tuple[list[list[Number]], list[Number]], layer: int) -> list[Number]:
        """The contribution of a layer's own parameters to the tangent of the layer's logits."""
        columns, biases = direction
        a = self.inputs[layer]
        return [mp.fdot(zip(column, a, strict=True)) + b for column, b in zip(columns, biases, strict=True)]

    def _loss_tangent(self, y: list[Number], tangent: list[Number]) -> Number:
        """The tangent of the loss, from the tangent of the last layer's logits."""
        network, z, a = self.oracle.network, self.logits[-1], self.outputs
        match network.loss:
            case "half_squared_error" | "mean_squared_error":
                factor = 1 if network.loss == "half_squared_error" else mp.mpf(2) / len(a)
                output_tangent = [_derivative(network.output, v) * t for v, t in zip(z, tangent, strict=True)]
                return factor * mp.fsum((p - t) * m for p, t, m in zip(a, y, output_tangent, strict=True))
            case "binary_cross_entropy":
                return mp.fsum((_activate("sigmoid", [v])[0] - t) * m for v, t, m in zip(z, y, tangent, strict=True))
            case _:
                log_sum_tangent = mp.fsum(p * m for p, m in zip(a, tangent, strict=True))
                return mp.fsum(t * (log_sum_tangent - m) for t, m in zip(y, tangent, strict=True))


def _activate(activation: str, z: list[Number]) -> list[Number]:
    match activation:
        case "sigmoid":
            return [1 / (1 + mp.exp(-v)) for v in z]
        case "tanh":
            return [mp.tanh(v) for v in z]
        case "relu":
            return [max(v, mp.mpf(0)) for v in z]
        case "softmax":
            powers = [mp.exp(v - max(z)) for v in z]
            total = mp.fsum(powers)
            return [power / total for power in powers]
        case _:
            return list(z)


def _derivative(activation: str, z: Number) -> Number:
    """The derivative of an activation at the logit z; the derivative of ReLU at 0 is 0."""
    match activation:
        case "sigmoid":
            return 1 / (2 + mp.exp(z) + mp.exp(-z))
        case "tanh":
            return mp.sech(z) ** 2
        case "relu":
            return mp.mpf(z > 0)
        case _:
            return mp.mpf(1)
