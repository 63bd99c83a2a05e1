"""The network in index notation: ``numpy.einsum`` computes every sum of products.

The letters stand for b, the samples of a batch; i, the inputs of a layer; and o, its outputs.
"""

from functools import partial

import numpy as np

import impls

ACTIVATIONS = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "identity": lambda z: z,
}
DERIVATIVES = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0).astype(a.dtype),
    "identity": np.ones_like,
}
"""Derivative of an activation as a function of the activation's value."""


class Model(impls.Model):
    """NumPy in index notation: every sum of products by einsum."""

    dtypes = ("float64", "float32")

    def _store(self, parameters):
        self._layers = [(W.astype(self.dtype), b.astype(self.dtype)) for W, b in parameters]
        # The base class times this callable as it is, so it must switch NumPy's warnings off by itself.
        self._forward_sample = partial(self._quietly, self._write_sample)

    def _fetch(self):
        return self._layers

    def _write_sample(self, x, out):
        out[:] = self._forward_batch(x[np.newaxis])[0]

    def _forward_batch(self, X):
        _, z = self._logits(X)
        return self._output(z)

    def _loss(self, X, Y):
        _, z = self._logits(X)
        return self._total_loss(z, Y)

    def _gradient(self, X, Y):
        inputs, z = self._logits(X)
        delta = self._output_delta(self._output(z), Y)
        gradient = []
        for (W, _), a in zip(reversed(self._layers), reversed(inputs), strict=True):
            gradient.insert(0, (np.einsum("bi,bo->io", a, delta), np.einsum("bo->o", delta)))
            if a is not X:
                delta = np.einsum("bo,io->bi", delta, W) * DERIVATIVES[self.network.hidden](a)
        return self._total_loss(z, Y), gradient

    def _train(self, X, Y, descent):
        losses = []
        for _ in range(descent.epochs):
            total = 0.0
            for start in range(0, len(X), descent.size):
                x, y = X[start : start + descent.size], Y[start : start + descent.size]
                loss, gradient = self._gradient(x, y)
                scale = 1 / len(x) if descent.mean else 1
                for (W, b), (dW, db) in zip(self._layers, gradient, strict=True):
                    W -= descent.learning_rate * scale * dW
                    b -= descent.bias_learning_rate * scale * db
                total += loss
            losses.append(total)
        return losses

    def _logits(self, X):
        """The inputs of every layer, X first, and the last layer before its activation."""
        inputs, z = [], X
        for W, b in self._layers:
            inputs.append(ACTIVATIONS[self.network.hidden](z) if inputs else X)
            z = np.einsum("bi,io->bo", inputs[-1], W) + b
        return inputs, z

    def _output(self, z):
        """The outputs of the network."""
        if self.network.output != "softmax":
            return ACTIVATIONS[self.network.output](z)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def _total_loss(self, z, Y):
        """The sum of the samples' losses; the cross-entropies come from the logits, which loses no digits."""
        loss = self.network.loss
        if loss == "binary_cross_entropy":
            return float((np.maximum(z, 0) - z * Y + np.log1p(np.exp(-abs(z)))).sum())
        if loss == "categorical_cross_entropy":
            z = z - z.max(axis=1, keepdims=True)
            return float(np.einsum("bo,bo->", Y, np.log(np.exp(z).sum(axis=1, keepdims=True)) - z))
        error = self._output(z) - Y
        squares = float(np.einsum("bo,bo->", error, error))
        return squares / self.network.n_out if loss == "mean_squared_error" else squares / 2

    def _output_delta(self, a, Y):
        """The derivative of the loss with respect to the logits."""
        if self.network.loss.endswith("cross_entropy"):
            return a - Y
        factor = 2 / self.network.n_out if self.network.loss == "mean_squared_error" else 1
        return factor * (a - Y) * DERIVATIVES[self.network.output](a)
