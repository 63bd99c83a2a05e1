"""The network in matrix form, as in a textbook: one NumPy expression for each formula."""

from typing import Any

import numpy as np

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Parameters


class Model(_backend.Model):
    """NumPy matrix form, one expression for each formula."""

    dtypes = ("float64", "float32")

    def _store(self, parameters: Parameters) -> None:
        self._layers = [(W.astype(self.dtype), b.astype(self.dtype)) for W, b in parameters]
        self._forward_sample = self._sample

    def _fetch(self) -> LayerArrays:
        return self._layers

    def _sample(self, x: Array, out: Array) -> None:
        out[:] = self._quietly(self._forward_batch, x)

    def _activate(self, activation: str, z: Array) -> Array:
        if activation == "sigmoid":
            return 1 / (1 + np.exp(-z))
        if activation == "tanh":
            return np.tanh(z)
        if activation == "relu":
            return np.maximum(z, 0)
        if activation == "softmax":
            e = np.exp(z - z.max(axis=-1, keepdims=True))
            return np.asarray(e / e.sum(axis=-1, keepdims=True))
        return z

    def _derivative(self, activation: str, a: Array) -> Any:
        if activation == "sigmoid":
            return a * (1 - a)
        if activation == "tanh":
            return 1 - a**2
        if activation == "relu":
            return a > 0
        return 1

    def _forward_batch(self, X: Array) -> Array:
        a = X
        for (W, b), activation in zip(self._layers, self.network.activations, strict=True):
            a = self._activate(activation, a @ W + b)
        return a

    def _logits(self, X: Array) -> tuple[list[Array], Array]:
        """Return the input of every layer, X first, and the logits (the last layer before its activation)."""
        inputs = [X]
        for W, b in self._layers[:-1]:
            inputs.append(self._activate(self.network.hidden, inputs[-1] @ W + b))
        W, b = self._layers[-1]
        return inputs, inputs[-1] @ W + b

    def _sample_losses(self, z: Array, Y: Array) -> Array:
        """Return the loss of each sample, computed from the logits z."""
        loss = self.network.loss
        if loss == "binary_cross_entropy":
            return np.asarray((np.maximum(z, 0) - z * Y + np.log1p(np.exp(-abs(z)))).sum(axis=1))
        if loss == "categorical_cross_entropy":
            z = z - z.max(axis=1, keepdims=True)
            return np.asarray((Y * (np.log(np.exp(z).sum(axis=1, keepdims=True)) - z)).sum(axis=1))
        error = self._activate(self.network.output, z) - Y
        if loss == "mean_squared_error":
            return np.asarray((error**2).mean(axis=1))
        return np.asarray((error**2).sum(axis=1) / 2)

    def _output_delta(self, a: Array, Y: Array) -> Array:
        """Return the derivative of the loss with respect to the logits; for a cross-entropy, this is a - y."""
        delta = a - Y
        if self.network.loss == "half_squared_error":
            delta = delta * self._derivative(self.network.output, a)
        if self.network.loss == "mean_squared_error":
            delta = 2 / self.network.n_out * delta * self._derivative(self.network.output, a)
        return delta

    def _loss(self, X: Array, Y: Array) -> float:
        _, z = self._logits(X)
        return float(self._sample_losses(z, Y).sum())

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        inputs, z = self._logits(X)
        delta = self._output_delta(self._activate(self.network.output, z), Y)
        gradient: Gradient = []
        for layer in range(len(self._layers) - 1, -1, -1):
            a = inputs[layer]
            gradient.insert(0, (a.T @ delta, delta.sum(axis=0)))
            if layer > 0:
                W, _ = self._layers[layer]
                delta = delta @ W.T * self._derivative(self.network.hidden, a)
        return float(self._sample_losses(z, Y).sum()), gradient

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        losses = []
        for _ in range(descent.epochs):
            total = 0.0
            for start in range(0, len(X), descent.size):
                rows = slice(start, start + descent.size)
                x, y = X[rows], Y[rows]
                loss, gradient = self._gradient(x, y)
                scale = 1 / len(x) if descent.mean else 1
                rate, bias_rate = descent.learning_rate * scale, descent.bias_learning_rate * scale
                self._layers = [
                    (W - rate * dW, b - bias_rate * db) for (W, b), (dW, db) in zip(self._layers, gradient, strict=True)
                ]
                total += loss
            losses.append(total)
        return losses
