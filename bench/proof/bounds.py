"""Running error analysis: the value of every quantity that a model returns, with a bound on its rounding error.

The analysis covers the arithmetic of any backend: forward pass, back-propagation and gradient descent in floating point
with unit roundoff u, with sums in any order, and with or without fused multiply-add. Each quantity has a value and a
componentwise bound on the error of a computed value (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
sections 3.1 to 3.3):

- A sum of n products adds an error of γ(n) = n u / (1 − n u) times the sum of the magnitudes of the products.
- An activation multiplies the error of its argument by the largest derivative nearby, and adds FUNCTION_ULPS.
- A product propagates the errors of both factors.

The analysis itself computes values in float64. A float64 model and the analysis may therefore differ by twice the
bound. Every bound permits that numbers below the smallest normal number are flushed to zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from impls import Network

Array = NDArray[np.float64]
Analyzed = TypeVar("Analyzed")

FUNCTION_ULPS = 4
"""Assumed accuracy of exp, log, log1p and tanh.

NumPy tests its vectorized functions to this accuracy; C libraries are accurate to 1 or 2 ulps.
"""


@dataclass(frozen=True)
class Bounded:
    """A value and a componentwise bound on the error of the computed value: two arrays of the same shape."""

    value: Array
    error: Array

    @property
    def magnitude(self) -> Array:
        """The largest magnitude that the computed value may have."""
        return np.abs(self.value) + self.error

    @property
    def T(self) -> Bounded:
        """The transpose."""
        return Bounded(self.value.T, self.error.T)

    def as_row(self) -> Bounded:
        """A vector as a matrix of one row."""
        return Bounded(self.value[None], self.error[None])

    def __getitem__(self, rows: Any) -> Bounded:
        return Bounded(self.value[rows], self.error[rows])


Pairs = list[tuple[Bounded, Bounded]]


@dataclass(frozen=True)
class Pass:
    """The forward pass of a batch: the inputs and the logits of every layer, and the outputs of the network."""

    inputs: list[Bounded]
    logits: list[Bounded]
    outputs: Bounded


def exact(value: Any) -> Bounded:
    """Make a bounded value without error: an input, a target, or a parameter before training."""
    array = np.asarray(value, np.float64)
    return Bounded(array, np.zeros_like(array))


def exact_pairs(parameters: Sequence[tuple[Array, Array]]) -> Pairs:
    """Make bounded parameters without error from [(W, b), …]."""
    return [(exact(W), exact(b)) for W, b in parameters]


def in_both_dtypes(analyze: Callable[[str], Analyzed], dtype: str) -> tuple[Analyzed, Analyzed]:
    """What ``analyze`` returns for float64, and for the dtype. An analysis takes long, so none is repeated."""
    reference = analyze("float64")
    return reference, reference if dtype == "float64" else analyze(dtype)


class Analysis:
    """The error analysis of a network in a dtype. An overflow gives an infinite bound, and raises no error."""

    def __init__(self, network: Network, dtype: str):
        info = np.finfo(dtype)
        self.network = network
        self.u = float(info.eps) / 2
        self.tiny = float(info.tiny)
        self.function = 2 * FUNCTION_ULPS * self.u

    def forward(self, parameters: Pairs, X: Bounded) -> Pass:
        """Analyse the forward pass of a batch X (batch, n_in)."""
        inputs, logits, a = [], [], X
        with np.errstate(all="ignore"):
            for (W, b), activation in zip(parameters, self.network.activations, strict=True):
                inputs.append(a)
                logits.append(self._product(a, W, b))
                a = self._activation(activation, logits[-1])
        return Pass(inputs, logits, a)

    def loss(self, forward: Pass, Y: Bounded) -> Bounded:
        """Analyse the summed loss of a batch for the targets Y (batch, n_out)."""
        with np.errstate(all="ignore"):
            match self.network.loss:
                case "binary_cross_entropy":
                    losses = self._binary_cross_entropy(forward.logits[-1], Y)
                case "categorical_cross_entropy":
                    losses = self._categorical_cross_entropy(forward.logits[-1], Y)
                case _:
                    error = self._minus(forward.outputs, Y)
                    losses = self.scaled(self._sum(self._times(error, error), axis=1), self._squared_scale() / 2)
            return self._sum(losses, axis=0)

    def gradient(self, parameters: Pairs, forward: Pass, Y: Bounded) -> Pairs:
        """Analyse the summed gradient of a batch, [(dW, db), …], for the targets Y (batch, n_out)."""
        network = self.network
        gradient: Pairs = []
        with np.errstate(all="ignore"):
            delta = self._minus(forward.outputs, Y)
            if network.loss.endswith("squared_error"):
                derivative = self._derivative(network.output, forward.logits[-1], forward.outputs)
                delta = self.scaled(self._times(delta, derivative), self._squared_scale())
            elif network.output == "softmax":  # the targets of a sample sum to 1 to within n_out ulps
                delta = Bounded(delta.value, delta.error + 2 * network.n_out * self.u * forward.outputs.magnitude)
            for layer in reversed(range(len(parameters))):
                a = forward.inputs[layer]
                gradient.insert(0, (self._product(a.T, delta), self._sum(delta, axis=0)))
                if layer > 0:
                    derivative = self._derivative(network.hidden, forward.logits[layer - 1], a)
                    delta = self._times(self._product(delta, parameters[layer][0].T), derivative)
        return gradient

    def train(
        self,
        parameters: Pairs,
        X: Bounded,
        Y: Bounded,
        *,
        steps: Sequence[Any],
        epochs: int,
        learning_rate: float,
        bias_learning_rate: float,
        mean: bool,
    ) -> tuple[Bounded, Pairs]:
        """Analyse gradient descent. Returns the losses (epochs,) and the parameters after the last epoch.

        ``steps`` has one index per update of an epoch, which selects the samples of the update from X and Y. An update
        follows the mean of the samples' gradients if ``mean``, else their sum.
        """
        losses = []
        samples = sum(len(X[rows].value) for rows in steps)
        for _ in range(epochs):
            total = exact(0.0)
            for rows in steps:
                x, y = X[rows], Y[rows]
                forward = self.forward(parameters, x)
                loss = self.loss(forward, y)
                total = self._minus(total, Bounded(-loss.value, loss.error))
                scale = 1 / len(x.value) if mean else 1.0
                parameters = [
                    (self._step(W, dW, learning_rate * scale), self._step(b, db, bias_learning_rate * scale))
                    for (W, b), (dW, db) in zip(parameters, self.gradient(parameters, forward, y), strict=True)
                ]
            losses.append(self.scaled(total, 1 / samples if mean else 1.0))
        return Bounded(np.array([x.value for x in losses]), np.array([x.error for x in losses])), parameters

    def scaled(self, a: Bounded, factor: float) -> Bounded:
        """Multiply by a factor. Three roundings: of the factor, of the number it is computed from, of the product."""
        return Bounded(a.value * factor, (a.error + self._gamma(3) * a.magnitude) * abs(factor))

    def _gamma(self, n: int) -> float:
        return n * self.u / (1 - n * self.u)

    def _product(self, A: Bounded, B: Bounded, b: Bounded | None = None) -> Bounded:
        """A B + b, with the sums in any order."""
        n = A.value.shape[1]
        value = A.value @ B.value
        error = A.error @ B.magnitude + np.abs(A.value) @ B.error
        size = A.magnitude @ B.magnitude
        if b is not None:
            value, error, size, n = value + b.value, error + b.error, size + b.magnitude, n + 1
        # A sum of zeros is exactly zero; in any other sum, products may have been flushed to zero.
        return Bounded(value, error + self._gamma(n) * size + n * self.tiny * (size > 0))

    def _sum(self, a: Bounded, axis: int) -> Bounded:
        n = a.value.shape[axis]
        return Bounded(a.value.sum(axis), a.error.sum(axis) + self._gamma(n) * a.magnitude.sum(axis))

    def _minus(self, a: Bounded, b: Bounded) -> Bounded:
        value, error = a.value - b.value, a.error + b.error
        return Bounded(value, error + self.u * (np.abs(value) + error))

    def _times(self, a: Bounded, b: Bounded) -> Bounded:
        error = np.abs(a.value) * b.error + a.error * b.magnitude
        return Bounded(a.value * b.value, error + self.u * a.magnitude * b.magnitude + self.tiny)

    def _step(self, parameter: Bounded, gradient: Bounded, rate: float) -> Bounded:
        return self._minus(parameter, self.scaled(gradient, rate))

    def _squared_scale(self) -> float:
        """The constant factor in the derivative of a squared-error loss."""
        return 1.0 if self.network.loss == "half_squared_error" else 2 / self.network.n_out

    def _activation(self, activation: str, z: Bounded) -> Bounded:
        e = z.error
        match activation:
            case "sigmoid":
                # Within a distance e of z, σ′ grows by a factor of exp e at most, because |d ln σ′/dz| = |1 − 2σ| ≤ 1.
                value = _sigmoid(z.value)
                derivative = value * _sigmoid(-z.value) * np.exp(np.minimum(e, 700))
                propagated = np.minimum(np.where(e < 700, np.minimum(derivative, 0.25), 0.25) * e, 1)
            case "tanh":
                # Within a distance e of z, tanh′ grows by at most exp 2e, because |d ln tanh′/dz| = 2 |tanh| ≤ 2.
                value = np.tanh(z.value)
                derivative = np.cosh(z.value) ** -2.0 * np.exp(2 * np.minimum(e, 350))
                propagated = np.minimum(np.where(e < 350, np.minimum(derivative, 1), 1) * e, 2)
            case "relu":
                return Bounded(np.maximum(z.value, 0), np.where(z.value + e > 0, e, 0))
            case "softmax":
                return self._softmax(z)
            case _:
                return z
        return Bounded(value, propagated + (self.function + 3 * self.u) * (np.abs(value) + propagated) + self.tiny)

    def _softmax(self, z: Bounded) -> Bounded:
        value, others = _softmax(z.value)
        e = z.error
        largest = e.max(axis=1, keepdims=True)
        # ∂p_j/∂z_k = p_j (δ_jk − p_k); within the error box of z, each factor grows by exp(2 max e) at most.
        growth = np.exp(np.minimum(4 * largest, 700))
        propagated = np.minimum(value * growth * (others * e + (value * e).sum(axis=1, keepdims=True) - value * e), 1)
        below = z.value.max(axis=1, keepdims=True) - z.value
        exponent = self.u * below + self.function
        rounding = exponent + (value * exponent).sum(axis=1, keepdims=True) + self._gamma(z.value.shape[1] + 3)
        return Bounded(value, propagated + rounding * (value + propagated) + self.tiny)

    def _derivative(self, activation: str, z: Bounded, a: Bounded) -> Bounded:
        """The derivative of an activation at the logits z, computed from its value a."""
        match activation:
            case "sigmoid":
                value = a.value * _sigmoid(-z.value)
                propagated = np.abs(1 - 2 * a.value) * a.error + a.error**2
                rounding = np.zeros_like(value)
            case "tanh":
                value = np.cosh(z.value) ** -2.0
                propagated = 2 * np.abs(a.value) * a.error + a.error**2
                rounding = self.u * a.magnitude**2
            case "relu":
                # Near the kink, the computed derivative may be 0 or 1.
                near = (np.abs(z.value) <= z.error) & (z.error > 0)
                return Bounded(np.where(z.value > 0, 1.0, 0.0), np.where(near, 1.0, 0.0))
            case _:
                return exact(np.ones_like(a.value))
        return Bounded(value, propagated + rounding + 2 * (self.function + 2 * self.u) * (value + propagated))

    def _binary_cross_entropy(self, z: Bounded, Y: Bounded) -> Bounded:
        v, y, e = z.value, Y.value, z.error
        tail = np.log1p(np.exp(-np.abs(v)))
        value = np.where(v > 0, v * (1 - y), -v * y) + tail
        # The derivative is σ(z) − y, and changes by e / 4 at most.
        propagated = np.minimum(np.abs(_sigmoid(v) - y) + e / 4, 1) * e
        rounding = 4 * self.u * (np.maximum(v, 0) + np.abs(v) * y) + 3 * self.function * tail + self.tiny
        return self._sum(Bounded(value, propagated + rounding), axis=1)

    def _categorical_cross_entropy(self, z: Bounded, Y: Bounded) -> Bounded:
        y, e, n = Y.value, z.error, z.value.shape[1]
        p, _ = _softmax(z.value)
        below = z.value.max(axis=1, keepdims=True) - z.value
        log_sum = np.log(np.exp(-below).sum(axis=1, keepdims=True))
        largest = e.max(axis=1, keepdims=True)
        # The gradient is p − y; the second derivative is the variance of changes of the logits within ± max e.
        propagated = np.minimum((np.abs(p - y) * e).sum(axis=1, keepdims=True) + largest**2, 2 * largest)
        in_sum = (p * (self.u * below + self.function)).sum(axis=1, keepdims=True) + self._gamma(n)
        rounding = y * (in_sum + self.function * log_sum + 4 * self.u * (log_sum + below))
        value = Bounded(y * (log_sum + below), rounding)
        total = self._sum(value, axis=1)
        return Bounded(total.value, total.error + propagated[:, 0] + self.tiny)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _softmax(z: Array) -> tuple[Array, Array]:
    """The softmax p of each row, and 1 − p computed without cancellation."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    total = powers.sum(axis=1, keepdims=True)
    others = np.stack([np.delete(powers, j, axis=1).sum(axis=1) for j in range(z.shape[1])], axis=1)
    return powers / total, others / total
