"""scikit-learn's multilayer perceptron: the forward pass and the back-propagation of ``MLPRegressor``.

The backend calls the private methods behind ``fit`` and ``predict``, on an estimator that holds the parameters. ``fit``
and ``predict`` themselves check their arguments, which takes 110 µs per call, and choose the batches themselves.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.neural_network._base import squared_loss

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Network, Parameters

ACTIVATIONS = {"sigmoid": "logistic"}
"""Activations whose scikit-learn name differs."""


class Model(_backend.Model):
    """scikit-learn's forward pass and back-propagation."""

    dtypes = ("float64", "float32")

    @classmethod
    def lacks(cls, network: Network) -> Mapping[str, str]:
        """Cross-entropies, and gradients of squared errors with non-linear outputs, are unsupported."""
        if network.loss.endswith("cross_entropy"):
            return dict.fromkeys(("loss", "gradient", "train"), "scikit-learn clips probabilities in a cross-entropy")
        if network.output != "identity":
            reason = "scikit-learn's back-propagation assumes identity outputs for a squared error"
            return dict.fromkeys(("gradient", "train"), reason)
        return {}

    def _store(self, parameters: Parameters) -> None:
        network = self.network
        # alpha is the strength of the penalty on the weights: no penalty.
        self._estimator: Any = MLPRegressor(activation=ACTIVATIONS.get(network.hidden, network.hidden), alpha=0.0)
        self._estimator.n_layers_ = len(network.layer_sizes)
        self._estimator.out_activation_ = ACTIVATIONS.get(network.output, network.output)
        self._estimator.coefs_ = [W.astype(self.dtype) for W, _ in parameters]
        self._estimator.intercepts_ = [b.astype(self.dtype) for _, b in parameters]
        self._forward_sample = self._sample

    def _fetch(self) -> LayerArrays:
        return list(zip(self._estimator.coefs_, self._estimator.intercepts_, strict=True))

    def _sample(self, x: Array, out: Array) -> None:
        out[:] = self._quietly(self._forward_batch, x[np.newaxis])[0]

    def _forward_batch(self, X: Array) -> Array:
        return np.asarray(self._estimator._forward_pass_fast(X, check_input=False))

    def _loss_factor(self) -> float:
        """Factor from scikit-learn's loss, half the squared error, to the network's loss."""
        return 1.0 if self.network.loss == "half_squared_error" else 2 / self.network.n_out

    def _loss(self, X: Array, Y: Array) -> float:
        return float(squared_loss(Y, self._forward_batch(X))) * Y.size * self._loss_factor()

    def _backpropagate(self, X: Array, Y: Array) -> tuple[float, list[Array], list[Array]]:
        """Return the summed loss of a batch, and the mean gradients of half the squared error, for W and for b."""
        layers = len(self.network.shapes)
        activations: list[Any] = [X, *[None] * layers]
        deltas, weight_gradients, bias_gradients = ([None] * layers for _ in range(3))
        loss, dW, db = self._estimator._backprop(X, Y, None, activations, deltas, weight_gradients, bias_gradients)
        return float(loss) * Y.size * self._loss_factor(), dW, db

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        loss, weight_gradients, bias_gradients = self._backpropagate(X, Y)
        scale = len(X) * self._loss_factor()
        for array in (*weight_gradients, *bias_gradients):
            array *= scale
        return loss, list(zip(weight_gradients, bias_gradients, strict=True))

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        losses = []
        for _ in range(descent.epochs):
            total = 0.0
            for start in range(0, len(X), descent.size):
                rows = slice(start, start + descent.size)
                x, y = X[rows], Y[rows]
                loss, weight_gradients, bias_gradients = self._backpropagate(x, y)
                scale = self._loss_factor() * (1 if descent.mean else len(x))
                for W, dW in zip(self._estimator.coefs_, weight_gradients, strict=True):
                    dW *= descent.learning_rate * scale
                    W -= dW
                for b, db in zip(self._estimator.intercepts_, bias_gradients, strict=True):
                    db *= descent.bias_learning_rate * scale
                    b -= db
                total += loss
            losses.append(total)
        return losses
