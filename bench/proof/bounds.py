"""Running error analysis: the value of everything that a model returns, with a bound on what rounding may do to it.

The analysis follows the arithmetic of any backend: a forward pass, back-propagation, gradient descent, in floating
point of unit roundoff u, sums in any order, with or without fused operations. Each quantity comes as a value and a
componentwise bound on how far a computed one may be off (Higham, Accuracy and Stability of Numerical Algorithms,
2002, sections 3.1 to 3.3): a sum of n products brings γ(n) = n u / (1 − n u) times the sum of their magnitudes; an
activation passes an error of its argument on through the largest slope nearby, and brings FUNCTION_ULPS of its own;
a product passes on both its errors.

Values are computed in float64, so a float64 model is compared with a bound for each side. What is smaller than the
smallest normal number may be flushed to zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from impls import Network

Array = NDArray[np.float64]

FUNCTION_ULPS = 4
"""Accuracy asked of exp, log, log1p and tanh; NumPy tests its vectorized ones to this, C libraries keep to 1 or 2."""


@dataclass(frozen=True)
class Bounded:
    """A value and a componentwise bound on the error of a computed one, arrays of one shape."""

    value: Array
    error: Array

    @property
    def size(self) -> Array:
        """The largest magnitude that a computed one may have."""
        return np.abs(self.value) + self.error

    @property
    def T(self) -> Bounded:
        """Both transposed."""
        return Bounded(self.value.T, self.error.T)

    def __getitem__(self, rows: Any) -> Bounded:
        return Bounded(self.value[rows], self.error[rows])


Pairs = list[tuple[Bounded, Bounded]]


@dataclass(frozen=True)
class Pass:
    """A forward pass of a batch: the input and the logits of every layer, and the outputs."""

    inputs: list[Bounded]
    logits: list[Bounded]
    outputs: Bounded


def exact(value: Any) -> Bounded:
    """A value that has no error: an input, a target, a parameter before training."""
    array = np.asarray(value, np.float64)
    return Bounded(array, np.zeros_like(array))


def exact_pairs(parameters: Sequence[tuple[Array, Array]]) -> Pairs:
    """Parameters [(W, b), …] without error."""
    return [(exact(W), exact(b)) for W, b in parameters]


class Analysis:
    """The analysis of one network in one dtype. Overflow makes a bound infinite, and is no error here."""

    def __init__(self, network: Network, dtype: str):
        info = np.finfo(dtype)
        self.network = network
        self.u = float(info.eps) / 2
        self.tiny = float(info.tiny)
        self.function = 2 * FUNCTION_ULPS * self.u

    def forward(self, parameters: Pairs, X: Bounded) -> Pass:
        """The forward pass of a batch X (batch, n_in)."""
        inputs, logits, a = [], [], X
        with np.errstate(all="ignore"):
            for (W, b), activation in zip(parameters, self.network.activations, strict=True):
                inputs.append(a)
                logits.append(self._product(a, W, b))
                a = self._activation(activation, logits[-1])
        return Pass(inputs, logits, a)

    def loss(self, forward: Pass, Y: Bounded) -> Bounded:
        """The summed loss of a batch against Y (batch, n_out)."""
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
        """The summed gradient of a batch, [(dW, db), …]."""
        network = self.network
        gradient: Pairs = []
        with np.errstate(all="ignore"):
            delta = self._minus(forward.outputs, Y)
            if network.loss.endswith("squared_error"):
                slope = self._slope(network.output, forward.logits[-1], forward.outputs)
                delta = self.scaled(self._times(delta, slope), self._squared_scale())
            elif network.output == "softmax":  # the targets of a row sum to 1 to within n_out units in the last place
                delta = Bounded(delta.value, delta.error + 2 * network.n_out * self.u * forward.outputs.size)
            for layer in reversed(range(len(parameters))):
                a = forward.inputs[layer]
                gradient.insert(0, (self._product(a.T, delta), self._sum(delta, axis=0)))
                if layer > 0:
                    slope = self._slope(network.hidden, forward.logits[layer - 1], a)
                    delta = self._times(self._product(delta, parameters[layer][0].T), slope)
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
        """Losses (epochs,) and parameters of gradient descent; each of ``steps`` selects the rows of one update."""
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
        """A value times a factor: three roundings, of the factor, of its being made from another, of the product."""
        return Bounded(a.value * factor, (a.error + self._gamma(3) * a.size) * abs(factor))

    def _gamma(self, n: int) -> float:
        return n * self.u / (1 - n * self.u)

    def _product(self, A: Bounded, B: Bounded, b: Bounded | None = None) -> Bounded:
        """A B + b, its sums in any order."""
        n = A.value.shape[1]
        value = A.value @ B.value
        error = A.error @ B.size + np.abs(A.value) @ B.error
        size = A.size @ B.size
        if b is not None:
            value, error, size, n = value + b.value, error + b.error, size + b.size, n + 1
        # Where every term is zero the sum is, exactly; elsewhere a product may have been flushed to zero.
        return Bounded(value, error + self._gamma(n) * size + n * self.tiny * (size > 0))

    def _sum(self, a: Bounded, axis: int) -> Bounded:
        n = a.value.shape[axis]
        return Bounded(a.value.sum(axis), a.error.sum(axis) + self._gamma(n) * a.size.sum(axis))

    def _minus(self, a: Bounded, b: Bounded) -> Bounded:
        value, error = a.value - b.value, a.error + b.error
        return Bounded(value, error + self.u * (np.abs(value) + error))

    def _times(self, a: Bounded, b: Bounded) -> Bounded:
        error = np.abs(a.value) * b.error + a.error * b.size
        return Bounded(a.value * b.value, error + self.u * a.size * b.size + self.tiny)

    def _step(self, parameter: Bounded, slope: Bounded, rate: float) -> Bounded:
        return self._minus(parameter, self.scaled(slope, rate))

    def _squared_scale(self) -> float:
        """What the derivative of a squared error is multiplied with, beside error and slope."""
        return 1.0 if self.network.loss == "half_squared_error" else 2 / self.network.n_out

    def _activation(self, activation: str, z: Bounded) -> Bounded:
        e = z.error
        match activation:
            case "sigmoid":
                # Within e of z the slope grows by exp e at most, for |d ln σ′/dz| = |1 − 2σ| ≤ 1.
                value = _sigmoid(z.value)
                slope = value * _sigmoid(-z.value) * np.exp(np.minimum(e, 700))
                moved = np.minimum(np.where(e < 700, np.minimum(slope, 0.25), 0.25) * e, 1)
            case "tanh":
                # Likewise by exp 2e, for |d ln tanh′/dz| = 2 |tanh| ≤ 2.
                value = np.tanh(z.value)
                slope = np.cosh(z.value) ** -2.0 * np.exp(2 * np.minimum(e, 350))
                moved = np.minimum(np.where(e < 350, np.minimum(slope, 1), 1) * e, 2)
            case "relu":
                return Bounded(np.maximum(z.value, 0), np.where(z.value + e > 0, e, 0))
            case "softmax":
                return self._softmax(z)
            case _:
                return z
        return Bounded(value, moved + (self.function + 3 * self.u) * (np.abs(value) + moved) + self.tiny)

    def _softmax(self, z: Bounded) -> Bounded:
        value, others = _softmax(z.value)
        e = z.error
        largest = e.max(axis=1, keepdims=True)
        # ∂p_j/∂z_k = p_j (δ_jk − p_k); within the box each factor grows by exp(2 max e) at most.
        growth = np.exp(np.minimum(4 * largest, 700))
        moved = np.minimum(value * growth * (others * e + (value * e).sum(axis=1, keepdims=True) - value * e), 1)
        below = z.value.max(axis=1, keepdims=True) - z.value
        exponent = self.u * below + self.function
        rounding = exponent + (value * exponent).sum(axis=1, keepdims=True) + self._gamma(z.value.shape[1] + 3)
        return Bounded(value, moved + rounding * (value + moved) + self.tiny)

    def _slope(self, activation: str, z: Bounded, a: Bounded) -> Bounded:
        """Derivative of an activation, computed from its value a."""
        match activation:
            case "sigmoid":
                value = a.value * _sigmoid(-z.value)
                moved = np.abs(1 - 2 * a.value) * a.error + a.error**2
                rounded = np.zeros_like(value)
            case "tanh":
                value = np.cosh(z.value) ** -2.0
                moved = 2 * np.abs(a.value) * a.error + a.error**2
                rounded = self.u * a.size**2
            case "relu":
                # On either side of the kink: what is computed may be any of the two slopes.
                near = (np.abs(z.value) <= z.error) & (z.error > 0)
                return Bounded(np.where(z.value > 0, 1.0, 0.0), np.where(near, 1.0, 0.0))
            case _:
                return exact(np.ones_like(a.value))
        return Bounded(value, moved + rounded + 2 * (self.function + 2 * self.u) * (value + moved))

    def _binary_cross_entropy(self, z: Bounded, Y: Bounded) -> Bounded:
        v, y, e = z.value, Y.value, z.error
        tail = np.log1p(np.exp(-np.abs(v)))
        value = np.where(v > 0, v * (1 - y), -v * y) + tail
        # The slope is σ(z) − y, and changes by e / 4 at most.
        moved = np.minimum(np.abs(_sigmoid(v) - y) + e / 4, 1) * e
        rounded = 4 * self.u * (np.maximum(v, 0) + np.abs(v) * y) + 3 * self.function * tail + self.tiny
        return self._sum(Bounded(value, moved + rounded), axis=1)

    def _categorical_cross_entropy(self, z: Bounded, Y: Bounded) -> Bounded:
        y, e, n = Y.value, z.error, z.value.shape[1]
        p, _ = _softmax(z.value)
        below = z.value.max(axis=1, keepdims=True) - z.value
        log_sum = np.log(np.exp(-below).sum(axis=1, keepdims=True))
        largest = e.max(axis=1, keepdims=True)
        # The slope is p − y; the second derivative is a variance, of logits that move by ± max e.
        moved = np.minimum((np.abs(p - y) * e).sum(axis=1, keepdims=True) + largest**2, 2 * largest)
        in_sum = (p * (self.u * below + self.function)).sum(axis=1, keepdims=True) + self._gamma(n)
        rounded = y * (in_sum + self.function * log_sum + 4 * self.u * (log_sum + below))
        value = Bounded(y * (log_sum + below), rounded)
        total = self._sum(value, axis=1)
        return Bounded(total.value, total.error + moved[:, 0] + self.tiny)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def _softmax(z: Array) -> tuple[Array, Array]:
    """p and 1 − p along the rows, the latter without cancellation."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    total = powers.sum(axis=1, keepdims=True)
    others = np.stack([np.delete(powers, j, axis=1).sum(axis=1) for j in range(z.shape[1])], axis=1)
    return powers / total, others / total
