"""The network as nested loops over Python lists; the arithmetic does not use NumPy.

The model stores the weights transposed, one row for each node of the layer, so that the innermost loop runs along a
row. The functions access their arguments only through ``len`` and ``[]``, so that ``python_loops_ndarray`` can run the
same functions on arrays, and ``numba_plain`` can compile them unchanged.
"""

from math import exp, log1p, tanh
from types import SimpleNamespace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._codes import (
    ACTIVATIONS,
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    LOSSES,
    RELU,
    SIGMOID,
    SOFTMAX,
    TANH,
)
from impls._network import Parameters


class Layers(NamedTuple):
    """A model's parameters and workspaces.

    Every field is a list with one entry per layer, except ``outputs``, which is the last entry of ``activations``.
    """

    weights: Any
    biases: Any
    activations: Any
    outputs: Any
    deltas: Any
    dweights: Any
    dbiases: Any


def affine(W: Any, b: Any, a: Any, z: Any) -> None:
    """Write W a + b into z."""
    for j in range(len(b)):
        row = W[j]
        total = b[j]
        for i in range(len(a)):
            total += row[i] * a[i]
        z[j] = total


def activate(activation: int, z: Any) -> None:
    """Replace z by its activation. No exponential can overflow, because every exponent is 0 or less."""
    if activation == SIGMOID:
        for j in range(len(z)):
            if z[j] >= 0:
                z[j] = 1.0 / (1.0 + exp(-z[j]))
            else:
                e = exp(z[j])
                z[j] = e / (1.0 + e)
    elif activation == TANH:
        for j in range(len(z)):
            z[j] = tanh(z[j])
    elif activation == RELU:
        for j in range(len(z)):
            if z[j] < 0:
                z[j] = 0.0
    elif activation == SOFTMAX:
        top = highest(z)
        highest_z = z[top]
        total = 0.0
        for j in range(len(z)):
            z[j] = exp(z[j] - highest_z)
            total += z[j]
        for j in range(len(z)):
            z[j] = z[j] / total


def derivative(activation: int, a: Any) -> Any:
    """Return the derivative of the activation, computed from the activation's value a."""
    if activation == SIGMOID:
        return a * (1.0 - a)
    if activation == TANH:
        return 1.0 - a * a
    if activation == RELU:
        return 1.0 if a > 0 else 0.0
    return 1.0


def highest(z: Any) -> int:
    """Return the index of the largest entry."""
    top = 0
    for j in range(1, len(z)):
        if z[j] > z[top]:
            top = j
    return top


def logits(weights: Any, biases: Any, activations: Any, hidden: int, x: Any, z: Any) -> None:
    """Write the hidden layers into activations, and the last layer before its activation into z."""
    last = len(weights) - 1
    a = x
    for layer in range(last):
        affine(weights[layer], biases[layer], a, activations[layer])
        activate(hidden, activations[layer])
        a = activations[layer]
    affine(weights[last], biases[last], a, z)


def forward(weights: Any, biases: Any, activations: Any, hidden: int, output: int, x: Any, z: Any) -> None:
    """Write the outputs for the sample x into z."""
    logits(weights, biases, activations, hidden, x, z)
    activate(output, z)


def forward_batch(layers: Layers, hidden: int, output: int, X: Any, Z: Any) -> None:
    """Write the outputs for the samples X into Z."""
    for sample in range(len(X)):
        forward(layers.weights, layers.biases, layers.activations, hidden, output, X[sample], Z[sample])


def sample_loss(output: int, loss: int, z: Any, y: Any) -> float:
    """Return the loss of one sample with logits z and targets y; for a squared error, also replace z by the outputs."""
    total = 0.0
    if loss == BINARY_CROSS_ENTROPY:
        for j in range(len(z)):
            total += (z[j] * (1.0 - y[j]) if z[j] > 0 else -z[j] * y[j]) + log1p(exp(-abs(z[j])))
    elif loss == CATEGORICAL_CROSS_ENTROPY:
        top = highest(z)
        others = 0.0
        for j in range(len(z)):
            if j != top:
                others += exp(z[j] - z[top])
        for j in range(len(z)):
            total += y[j] * (log1p(others) - (z[j] - z[top]))
    else:
        activate(output, z)
        for j in range(len(z)):
            total += (z[j] - y[j]) * (z[j] - y[j])
        total *= 0.5 if loss == HALF_SQUARED_ERROR else 1.0 / len(z)
    return total


def output_delta(output: int, loss: int, a: Any, y: Any, delta: Any) -> None:
    """Write the derivative of the loss with respect to the logits into delta; for a cross-entropy, this is a - y."""
    for j in range(len(a)):
        delta[j] = a[j] - y[j]
        if loss < BINARY_CROSS_ENTROPY:
            delta[j] *= derivative(output, a[j])
            if loss != HALF_SQUARED_ERROR:
                delta[j] *= 2.0 / len(a)


def hidden_delta(hidden: int, W: Any, a: Any, delta: Any, previous: Any) -> None:
    """Write the derivative with respect to the logits of the layer below, whose activations are a, into previous."""
    for i in range(len(a)):
        previous[i] = 0.0
    for j in range(len(delta)):
        row = W[j]
        for i in range(len(a)):
            previous[i] += row[i] * delta[j]
    for i in range(len(a)):
        previous[i] *= derivative(hidden, a[i])


def accumulate(a: Any, delta: Any, dW: Any, db: Any) -> None:
    """Add the outer product of delta and a to dW, and delta to db."""
    for j in range(len(delta)):
        row = dW[j]
        d = delta[j]
        for i in range(len(a)):
            row[i] += d * a[i]
        db[j] += d


def clear(dweights: Any, dbiases: Any) -> None:
    """Set the gradients of all layers to zero."""
    for layer in range(len(dweights)):
        for j in range(len(dbiases[layer])):
            dbiases[layer][j] = 0.0
            row = dweights[layer][j]
            for i in range(len(row)):
                row[i] = 0.0


def total_loss(layers: Layers, hidden: int, output: int, loss: int, X: Any, Y: Any) -> float:
    """Return the summed loss of the samples."""
    total = 0.0
    for sample in range(len(X)):
        logits(layers.weights, layers.biases, layers.activations, hidden, X[sample], layers.outputs)
        total += sample_loss(output, loss, layers.outputs, Y[sample])
    return total


def gradient(layers: Layers, hidden: int, output: int, loss: int, X: Any, Y: Any, start: int, stop: int) -> float:
    """Write the summed gradient of the samples start to stop into dweights and dbiases; return their summed loss."""
    weights, biases, activations, outputs, deltas, dweights, dbiases = layers
    last = len(weights) - 1
    total = 0.0
    clear(dweights, dbiases)
    for sample in range(start, stop):
        logits(weights, biases, activations, hidden, X[sample], outputs)
        total += sample_loss(output, loss, outputs, Y[sample])
        if loss >= BINARY_CROSS_ENTROPY:
            activate(output, outputs)
        output_delta(output, loss, outputs, Y[sample], deltas[last])
        for layer in range(last, 0, -1):
            accumulate(activations[layer - 1], deltas[layer], dweights[layer], dbiases[layer])
            hidden_delta(hidden, weights[layer], activations[layer - 1], deltas[layer], deltas[layer - 1])
        accumulate(X[sample], deltas[0], dweights[0], dbiases[0])
    return total


def descend(layers: Layers, rate: float, bias_rate: float) -> None:
    """Subtract the gradient, multiplied by the rates, from the parameters."""
    for layer in range(len(layers.weights)):
        for j in range(len(layers.biases[layer])):
            layers.biases[layer][j] -= bias_rate * layers.dbiases[layer][j]
            row = layers.weights[layer][j]
            drow = layers.dweights[layer][j]
            for i in range(len(row)):
                row[i] -= rate * drow[i]


def train(
    layers: Layers,
    hidden: int,
    output: int,
    loss: int,
    X: Any,
    Y: Any,
    size: int,
    learning_rate: float,
    bias_learning_rate: float,
    mean: bool,
    losses: Any,
) -> None:
    """Train by gradient descent in batches of ``size`` samples; write the summed loss of each epoch into losses."""
    for epoch in range(len(losses)):
        losses[epoch] = 0.0
        for start in range(0, len(X), size):
            stop = min(start + size, len(X))
            losses[epoch] += gradient(layers, hidden, output, loss, X, Y, start, stop)
            scale = 1.0 / (stop - start) if mean else 1.0
            descend(layers, learning_rate * scale, bias_learning_rate * scale)


class Model(_backend.Model):
    """Nested loops over Python lists."""

    _loops: ClassVar[Any] = SimpleNamespace(
        forward=forward, forward_batch=forward_batch, total_loss=total_loss, gradient=gradient, train=train
    )

    def _per_layer(self, entries: list[Any]) -> Any:
        return entries

    def _to_storage(self, array: Array) -> Any:
        return array.tolist()

    def _store(self, parameters: Parameters) -> None:
        sizes = self.network.layer_sizes[1:]
        self._parameters = [(self._to_storage(W.T), self._to_storage(b)) for W, b in parameters]
        self._gradients = [
            (self._to_storage(np.zeros_like(W.T)), self._to_storage(np.zeros_like(b))) for W, b in parameters
        ]
        activations = [self._to_storage(np.zeros(size)) for size in sizes]
        self._layers = Layers(
            weights=self._per_layer([W for W, _ in self._parameters]),
            biases=self._per_layer([b for _, b in self._parameters]),
            activations=self._per_layer(activations),
            outputs=activations[-1],
            deltas=self._per_layer([self._to_storage(np.zeros(size)) for size in sizes]),
            dweights=self._per_layer([dW for dW, _ in self._gradients]),
            dbiases=self._per_layer([db for _, db in self._gradients]),
        )
        self._codes = ACTIVATIONS[self.network.hidden], ACTIVATIONS[self.network.output], LOSSES[self.network.loss]
        self._forward_sample = self._sample

    def _fetch(self) -> LayerArrays:
        return _untransposed(self._parameters)

    def _sample(self, x: Array, out: Array) -> None:
        layers, (hidden, output, _) = self._layers, self._codes
        forward(layers.weights, layers.biases, layers.activations, hidden, output, x.tolist(), layers.outputs)
        out[:] = layers.outputs

    def _forward_batch(self, X: Array) -> Array:
        Z = self._to_storage(np.zeros((len(X), self.network.n_out)))
        self._loops.forward_batch(self._layers, *self._codes[:2], self._to_storage(X), Z)
        return np.array(Z, self.dtype)

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._loops.total_loss(self._layers, *self._codes, self._to_storage(X), self._to_storage(Y)))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        total = self._loops.gradient(self._layers, *self._codes, self._to_storage(X), self._to_storage(Y), 0, len(X))
        return total, _untransposed(self._gradients)

    def _train(self, X: Array, Y: Array, descent: Descent) -> Any:
        losses = self._to_storage(np.zeros(descent.epochs))
        rates = descent.learning_rate, descent.bias_learning_rate
        batch = self._to_storage(X), self._to_storage(Y)
        self._loops.train(self._layers, *self._codes, *batch, descent.size, *rates, descent.mean, losses)
        return losses


def _untransposed(pairs: list[tuple[Any, Any]]) -> Gradient:
    return [(np.array(W).T.copy(), np.array(b)) for W, b in pairs]
