"""The network in optimized NumPy, with few calls and few temporary arrays.

Differences from ``numpy_plain``:

- Fewer calls: each NumPy call on one sample takes 0.3 to 0.5 µs, however small its arrays. The biases are the last row
  of the weight matrix, and the input has a last entry of one, so that one product computes a W + b. For one sample, the
  weights of a sigmoid layer are negated in advance, because the sigmoid needs exp(-z).
- Fewer arrays: ``out=`` reuses existing arrays, and a derivative overwrites activations that are no longer needed.
- A sum over the samples is a product with a vector of ones.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy import add, dot, empty, exp, log1p, maximum, multiply, negative, ones, reciprocal, subtract, tanh, zeros

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Parameters

Activation = Callable[[Array, Array], object]


def activations(dtype: np.dtype[Any]) -> dict[str, Activation]:
    """Return the activation functions by name. Each function writes its result into ``out`` and may overwrite z."""
    # Zero-dimensional arrays: NumPy would convert a Python number to an array in every call.
    one, zero = ones((), dtype), zeros((), dtype)

    def sigmoid_of_negated(z: Array, out: Array) -> None:
        # If the exponential overflows, the result is 0; the exact sigmoid is smaller than every normal number.
        exp(z, z)
        add(z, one, z)
        reciprocal(z, out)

    def sigmoid(z: Array, out: Array) -> None:
        negative(z, z)
        sigmoid_of_negated(z, out)

    def relu(z: Array, out: Array) -> None:
        maximum(z, zero, out=out)

    def identity(z: Array, out: Array) -> None:
        if out is not z:
            out[...] = z

    def softmax(z: Array, out: Array) -> None:
        subtract(z, z.max(-1, keepdims=True), out)
        exp(out, out)
        out /= out.sum(-1, keepdims=True)

    return {
        "sigmoid": sigmoid,
        "sigmoid of negated": sigmoid_of_negated,
        "tanh": tanh,
        "relu": relu,
        "identity": identity,
        "softmax": softmax,
    }


def multiply_derivative(activation: str, a: Array, delta: Array) -> None:
    """Multiply delta by the derivative of the activation, computed from the activation's value a; overwrites a."""
    if activation == "sigmoid":
        delta *= a
        subtract(1, a, a)
        delta *= a
    elif activation == "tanh":
        a *= a
        subtract(1, a, a)
        delta *= a
    elif activation == "relu":
        delta *= a > 0


def cross_entropy(loss: str, z: Array, Y: Array) -> float:
    """Return the summed cross-entropy of a batch with logits z and targets Y."""
    if loss == "binary_cross_entropy":
        return float(log1p(exp(-abs(z))).sum() + (maximum(z, 0) - z * Y).sum())
    top = z.argmax(1, keepdims=True)
    below = z - np.take_along_axis(z, top, 1)
    others = exp(below)
    np.put_along_axis(others, top, 0, 1)
    return float((Y * (log1p(others.sum(1, keepdims=True)) - below)).sum())


class Model(_backend.Model):
    """Optimized NumPy: biases inside the weight matrices, results in place, few temporary arrays."""

    dtypes = ("float64", "float32")

    def _store(self, parameters: Parameters) -> None:
        self._weights = [np.vstack([W, b]).astype(self.dtype) for W, b in parameters]
        self._gradients = [np.empty_like(W) for W in self._weights]
        self._operands = [np.empty_like(W) for W in self._weights]
        self._refresh()
        inputs = [ones(len(W), self.dtype) for W in self._weights]
        functions = activations(self.dtype)
        self._hidden, self._output = functions[self.network.hidden], functions[self.network.output]
        functions["sigmoid"] = functions["sigmoid of negated"]
        layer_activations = [functions[name] for name in self.network.activations]
        self._x = inputs[0][:-1]
        self._steps = [
            (a, W, empty(W.shape[1], self.dtype), activate, next_input[:-1])
            for a, W, activate, next_input in zip(inputs, self._operands, layer_activations, inputs[1:], strict=False)
        ]
        self._last = inputs[-1], self._operands[-1], layer_activations[-1]
        self._forward_sample = partial(self._quietly, self._sample)

    def _refresh(self) -> None:
        """Update the operands of ``_sample`` from the weights, with the sign of sigmoid layers reversed."""
        for operand, W, activation in zip(self._operands, self._weights, self.network.activations, strict=True):
            multiply(W, -1 if activation == "sigmoid" else 1, operand)

    def _fetch(self) -> LayerArrays:
        return [(W[:-1], W[-1]) for W in self._weights]

    def _sample(self, x: Array, out: Array) -> None:
        self._x[:] = x
        for a, W, z, activate, next_input in self._steps:
            dot(a, W, z)
            activate(z, next_input)
        a, W, activate = self._last
        dot(a, W, out)
        activate(out, out)

    def _logits(self, X: Array) -> tuple[list[Array], Array]:
        """Return the input of every layer, X first, and the logits (the last layer before its activation)."""
        inputs = [X]
        for W in self._weights[:-1]:
            z = dot(inputs[-1], W[:-1])
            z += W[-1]
            self._hidden(z, z)
            inputs.append(z)
        W = self._weights[-1]
        z = dot(inputs[-1], W[:-1])
        z += W[-1]
        return inputs, z

    def _forward_batch(self, X: Array) -> Array:
        _, z = self._logits(X)
        self._output(z, z)
        return z

    def _error(self, z: Array, Y: Array) -> tuple[float, Array, Array]:
        """Replace the logits z by the outputs; return the summed loss, the outputs, and outputs minus targets."""
        loss = self.network.loss
        total = cross_entropy(loss, z, Y) if loss.endswith("cross_entropy") else 0.0
        self._output(z, z)
        error = z - Y
        if loss == "half_squared_error":
            total = 0.5 * dot(error.ravel(), error.ravel())
        elif loss == "mean_squared_error":
            total = dot(error.ravel(), error.ravel()) / self.network.n_out
        return float(total), z, error

    def _loss(self, X: Array, Y: Array) -> float:
        _, z = self._logits(X)
        if self.network.loss.endswith("cross_entropy"):
            return cross_entropy(self.network.loss, z, Y)
        return self._error(z, Y)[0]

    def _backpropagate(self, X: Array, Y: Array, gradients: Sequence[Array]) -> float:
        """Write a batch's summed gradient into ``gradients``, laid out like the weights; return the summed loss."""
        inputs, z = self._logits(X)
        total, a, delta = self._error(z, Y)
        if not self.network.loss.endswith("cross_entropy"):
            if self.network.loss == "mean_squared_error":
                delta *= 2 / self.network.n_out
            multiply_derivative(self.network.output, a, delta)
        one = ones(len(X), self.dtype)
        for layer in range(len(gradients) - 1, -1, -1):
            a = inputs[layer]
            dot(a.T, delta, gradients[layer][:-1])
            dot(one, delta, gradients[layer][-1])
            if layer > 0:
                delta = dot(delta, self._weights[layer][:-1].T)
                multiply_derivative(self.network.hidden, a, delta)
        return total

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        gradients = [np.empty_like(W) for W in self._weights]
        total = self._backpropagate(X, Y, gradients)
        return total, [(G[:-1], G[-1]) for G in gradients]

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        try:
            return self._descend(X, Y, descent)
        finally:  # training that is interrupted has changed the weights, too
            self._refresh()

    def _descend(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        losses = []
        for _ in range(descent.epochs):
            total = 0.0
            for start in range(0, len(X), descent.size):
                rows = slice(start, start + descent.size)
                x, y = X[rows], Y[rows]
                total += self._backpropagate(x, y, self._gradients)
                scale = 1 / len(x) if descent.mean else 1
                for W, G in zip(self._weights, self._gradients, strict=True):
                    G[:-1] *= descent.learning_rate * scale
                    G[-1] *= descent.bias_learning_rate * scale
                    W -= G
            losses.append(total)
        return losses
