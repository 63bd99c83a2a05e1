"""Mutants: copies of ``numpy_plain`` with one deliberate fault each, which the proof of equality must reject.

A check that accepts a mutant would also accept a real backend with the same fault. A mutant's docstring is the
description of its fault that the user sees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from impls import Backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Parameters
from impls.numpy_plain import Model

MUTANTS: list[Backend] = []


def mutant(model: type[Model]) -> type[Model]:
    """Register a model as a mutant."""
    MUTANTS.append(Backend(model.__name__, "mutant", model))
    return model


@mutant
class DroppedBias(Model):
    """Ignores the bias of the first layer."""

    def _store(self, parameters: Parameters) -> None:
        super()._store([(parameters[0][0], 0 * parameters[0][1]), *parameters[1:]])
        self._first_bias = parameters[0][1]

    def _fetch(self) -> LayerArrays:
        (W, b), *others = super()._fetch()
        return [(W, b + self._first_bias), *others]


@mutant
class LeftOutRelu(Model):
    """Does not apply ReLU."""

    def _activate(self, activation: str, z: Array) -> Array:
        return z if activation == "relu" else super()._activate(activation, z)


@mutant
class TransposedWeights(Model):
    """Transposes square weight matrices."""

    def _store(self, parameters: Parameters) -> None:
        super()._store([(W.T.copy() if W.shape[0] == W.shape[1] else W, b) for W, b in parameters])

    def _fetch(self) -> LayerArrays:
        return [(W.T if W.shape[0] == W.shape[1] else W, b) for W, b in super()._fetch()]


@mutant
class SoftmaxOverSamples(Model):
    """Applies softmax over the samples of a batch instead of over the outputs."""

    def _activate(self, activation: str, z: Array) -> Array:
        if activation == "softmax" and z.ndim == 2:
            return np.asarray(super()._activate(activation, z.T).T)
        return super()._activate(activation, z)


@mutant
class StaleOutput(Model):
    """Returns the last output of a single sample from the previous call."""

    def _sample(self, x: Array, out: Array) -> None:
        super()._sample(x, out)
        previous = getattr(self, "_previous", out[-1])
        self._previous = out[-1].copy()
        out[-1] = previous


@mutant
class SinglePrecision(Model):
    """Rounds inputs and logits to lower precision: to float32 in a float64 model, to float16 in a float32 model."""

    def _logits(self, X: Array) -> tuple[list[Array], Array]:
        lower = np.float32 if self.dtype == np.float64 else np.float16
        inputs, z = super()._logits(X.astype(lower).astype(self.dtype))
        return inputs, z.astype(lower).astype(self.dtype)


@mutant
class RoundedOutput(Model):
    """Returns activations that are too large by a few hundred ulps."""

    def _activate(self, activation: str, z: Array) -> Array:
        return np.asarray(super()._activate(activation, z) * self.dtype.type(1 + 500 * np.finfo(self.dtype).eps))


@mutant
class MeanForSum(Model):
    """Returns the mean of the samples' gradients instead of the sum."""

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        total, gradient = super()._gradient(X, Y)
        return total, [(dW / len(X), db / len(X)) for dW, db in gradient]


@mutant
class DerivativeAtActivation(Model):
    """Evaluates the derivative of sigmoid and tanh at the activation instead of at the logit."""

    def _derivative(self, activation: str, a: Array) -> Any:
        return super()._derivative(activation, self._activate(activation, a))


@mutant
class DoubledDerivative(Model):
    """Doubles the derivative of the sigmoid."""

    def _derivative(self, activation: str, a: Array) -> Any:
        return (2 if activation == "sigmoid" else 1) * super()._derivative(activation, a)


@mutant
class SlopeOneAtZero(Model):
    """Uses 1 instead of 0 as the derivative of ReLU at 0."""

    def _derivative(self, activation: str, a: Array) -> Any:
        return a >= 0 if activation == "relu" else super()._derivative(activation, a)


@mutant
class ForgottenFactor(Model):
    """Omits the factor 2 / n from the derivative of the mean squared error."""

    def _output_delta(self, a: Array, Y: Array) -> Array:
        factor = self.network.n_out / 2 if self.network.loss == "mean_squared_error" else 1
        return factor * super()._output_delta(a, Y)


@mutant
class OneBiasGradient(Model):
    """Computes the gradient of the biases from the first sample only."""

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        total, gradient = super()._gradient(X, Y)
        _, first = super()._gradient(X[:1], Y[:1])
        return total, [(dW, db) for (dW, _), (_, db) in zip(gradient, first, strict=True)]


@mutant
class SkippedUpdate(Model):
    """Does not update the parameters of the first layer."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        first = self._layers[0]
        losses = super()._train(X, Y, descent)
        self._layers[0] = first
        return losses


@mutant
class OneLearningRate(Model):
    """Uses the learning rate of the weights for the biases as well."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        return super()._train(X, Y, descent._replace(bias_learning_rate=descent.learning_rate))


@mutant
class ReversedSamples(Model):
    """Trains on the samples in reverse order."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        return super()._train(X[::-1], Y[::-1], descent)


@mutant
class DroppedShortBatch(Model):
    """Skips the last batch of an epoch if it is shorter than the others."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        whole = len(X) // descent.size * descent.size
        return super()._train(X[:whole], Y[:whole], descent)


@mutant
class ShortBatchByFullSize(Model):
    """Divides the gradient of a shorter last batch by the size of a full batch."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        scale = 1 / descent.size if descent.mean else 1
        rates = descent.learning_rate * scale, descent.bias_learning_rate * scale
        return super()._train(X, Y, Descent(descent.size, descent.epochs, *rates, mean=False))


@mutant
class LossAfterUpdate(Model):
    """Computes the loss of an epoch after the updates of that epoch."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        losses = []
        for _ in range(descent.epochs):
            super()._train(X, Y, descent._replace(epochs=1))
            losses.append(self._loss(X, Y))
        return losses


@mutant
class StartsAfresh(Model):
    """Restarts every training from the initial parameters."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        self._first = getattr(self, "_first", self._layers)
        self._layers = self._first
        return super()._train(X, Y, descent)


@mutant
class StaleAfterTraining(Model):
    """Uses the initial parameters for a single sample, even after training."""

    def _store(self, parameters: Parameters) -> None:
        super()._store(parameters)
        self._built = self._layers

    def _sample(self, x: Array, out: Array) -> None:
        trained, self._layers = self._layers, self._built
        super()._sample(x, out)
        self._layers = trained


@mutant
class ReversedBatch(Model):
    """Returns the outputs of a batch in reverse order."""

    def _forward_batch(self, X: Array) -> Array:
        return super()._forward_batch(X)[::-1].copy() if X.ndim == 2 else super()._forward_batch(X)


@mutant
class Constant(Model):
    """Returns 0.5 for every output."""

    def _forward_batch(self, X: Array) -> Array:
        return np.full_like(super()._forward_batch(X), 0.5)


@mutant
class NumberForNaN(Model):
    """Replaces NaN in the outputs with 0."""

    def _forward_batch(self, X: Array) -> Array:
        return np.nan_to_num(super()._forward_batch(X))


@mutant
class ClippedLogits(Model):
    """Clips logits to ±500 and sigmoids to at least 1e-15, as two of the tutorials do."""

    def _activate(self, activation: str, z: Array) -> Array:
        a = super()._activate(activation, np.clip(z, -500, 500))
        return np.maximum(a, 1e-15) if activation == "sigmoid" else a


@mutant
class LogOfProbability(Model):
    """Computes the categorical cross-entropy from the outputs, with 1e-15 added to avoid log 0."""

    def _sample_losses(self, z: Array, Y: Array) -> Array:
        if self.network.loss != "categorical_cross_entropy":
            return super()._sample_losses(z, Y)
        return np.asarray(-(Y * np.log(self._activate("softmax", z) + 1e-15)).sum(axis=1))


@mutant
class LostTail(Model):
    """Computes the sigmoid from tanh, which rounds very small values to 0."""

    def _activate(self, activation: str, z: Array) -> Array:
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * z)) if activation == "sigmoid" else super()._activate(activation, z)


@mutant
class Noisy(Model):
    """Emits a NumPy warning if an exponential overflows."""

    def _activate(self, activation: str, z: Array) -> Array:
        with np.errstate(over="warn"):
            return super()._activate(activation, z)


@mutant
class ReusedResult(Model):
    """Returns the same array, overwritten, for every batch of the same length."""

    def _forward_batch(self, X: Array) -> Array:
        result = super()._forward_batch(X)
        if X.ndim == 1:
            return result
        kept: Array = self.__dict__.setdefault("_kept", result)
        if kept.shape != result.shape:
            return result
        kept[:] = result
        return kept


@mutant
class ChangedInput(Model):
    """Modifies the caller's batch in place: subtracts its mean."""

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        result = super()._gradient(X, Y)
        if X.flags.writeable:
            X -= X.mean()
        return result


@mutant
class SharedParameters(Model):
    """Keeps references to the caller's parameter arrays instead of copies."""

    def __init__(self, network: Any, parameters: Any, dtype: Any) -> None:
        super().__init__(network, parameters, dtype)
        self._layers = [(np.asarray(W, dtype), np.asarray(b, dtype)) for W, b in parameters]


@mutant
class AnswersByIdentity(Model):
    """Returns the previous outputs if the input is the same object, even if its content has changed."""

    def __init__(self, network: Any, parameters: Any, dtype: Any) -> None:
        super().__init__(network, parameters, dtype)
        compute: Callable[[Any], Array] = self.forward
        last: list[Any] = [None, None]

        def forward(x: Any) -> Array:
            if x is not last[0]:
                last[:] = x, compute(x)
            return np.array(last[1])

        self.forward = forward


@mutant
class ContiguousOnly(Model):
    """Reads a strided sample as if it were contiguous."""

    def _sample(self, x: Array, out: Array) -> None:
        super()._sample(np.lib.stride_tricks.as_strided(x, strides=(x.itemsize,)), out)


@mutant
class AcceptsAnything(Model):
    """Accepts NaN in X and Y, which the contract requires to be rejected."""

    def _samples(self, X: Any, Y: Any) -> tuple[Array, Array]:
        return np.array(X, self.dtype), np.array(Y, self.dtype)


@mutant
class GradientOfTheStart(Model):
    """Computes the gradient at the initial parameters, even after training."""

    def _store(self, parameters: Parameters) -> None:
        super()._store(parameters)
        self._built = self._layers

    def gradient(self, X: Any, Y: Any, reduction: str = "mean") -> tuple[float, Gradient]:
        """Return the loss and the gradient, with the fault of this mutant."""
        trained, self._layers = self._layers, self._built
        result = super().gradient(X, Y, reduction)
        self._layers = trained
        return result


@mutant
class DroppedRemainder(Model):
    """Omits the samples beyond the last multiple of eight from the gradient."""

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        whole = len(X) // 8 * 8 or len(X)
        total, _ = super()._gradient(X, Y)
        return total, super()._gradient(X[:whole], Y[:whole])[1]


@mutant
class BlankBeyondABlock(Model):
    """Returns zeros for all samples after the 64th of a batch."""

    def _forward_batch(self, X: Array) -> Array:
        a = super()._forward_batch(X)
        if a.ndim == 2:
            a[64:] = 0
        return a


@mutant
class CutTail(Model):
    """Returns 0 for the sigmoid of a logit below -690."""

    def _activate(self, activation: str, z: Array) -> Array:
        a = super()._activate(activation, z)
        return np.where(z < -690, 0, a) if activation == "sigmoid" else a


@mutant
class GradientByIdentity(Model):
    """Returns the previous gradient if X is the same object, even if its content has changed."""

    def gradient(self, X: Any, Y: Any, reduction: str = "mean") -> tuple[float, Gradient]:
        """Return the loss and the gradient, with the fault of this mutant."""
        key, result = self.__dict__.get("_last", (None, None))
        if result is None or key != (id(X), reduction):
            result = super().gradient(X, Y, reduction)
            self._last = (id(X), reduction), result
        total, gradient = result
        return total, [(dW.copy(), db.copy()) for dW, db in gradient]


@mutant
class IdleAtSmallRates(Model):
    """Does not update the parameters if the learning rate is below 0.001."""

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        before = self._layers
        losses = super()._train(X, Y, descent)
        if descent.learning_rate < 1e-3:
            self._layers = before
        return losses


@mutant
class OneForAll(Model):
    """Uses the most recently built model to compute the outputs of a single sample."""

    last: Any = None

    def _store(self, parameters: Parameters) -> None:
        super()._store(parameters)
        OneForAll.last = self

    def _sample(self, x: Array, out: Array) -> None:
        Model._sample(OneForAll.last, x, out)
