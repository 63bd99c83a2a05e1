"""JAX: functions compiled by XLA, gradients by automatic differentiation, all epochs of a training in one call.

Design decisions, with times in float64 on one thread:

- The parameters are arguments of the compiled functions and stay on the device. The functions are compiled once for
  each network. With the parameters as constants, a call would take 7.7 µs instead of 9.1, but every model and every
  training would compile again.
- JAX computes results in the calling thread instead of dispatching them to another thread, and XLA does not split work
  when there is only one thread. Without these two options, one sample of 100-100-50-10 takes 35 µs instead of 11.
- One call runs all epochs: ``lax.scan`` over the batches inside a loop over the epochs. The new parameters reuse the
  memory of the old. An epoch of four steps of 2-3-1 takes 0.7 µs, whereas a call for a single gradient takes 40 µs. The
  number of epochs is a run-time value, and the losses are an array whose length is a power of two, so that a new number
  of epochs seldom compiles again.

Importing this module enables 64-bit types in JAX for the whole process: without them, JAX does not support float64.
"""

import os
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Network, Parameters

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_cpu_enable_async_dispatch", False)

# XLA splits the products of a batch into parallel tasks, which a single thread would run one after another.
OPTIONS = {"xla_cpu_multi_thread_eigen": os.environ.get("OMP_NUM_THREADS", "1") != "1"}

jit = partial(jax.jit, compiler_options=OPTIONS)

ACTIVATIONS = {
    "sigmoid": nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": nn.relu,
    "identity": lambda z: z,
    "softmax": nn.softmax,
}


class Functions:
    """The compiled functions of one network.

    Parameters are a list of pairs (W, b), and losses are summed over the batch.
    """

    def __init__(self, network: Network):
        self.network = network
        self.forward = jit(self._forward)
        self.loss = jit(self._loss)
        self.gradient = jit(self._value_and_gradient)
        self.train = jit(self._train, static_argnames=("size", "capacity"), donate_argnums=0)

    def _logits(self, parameters: Any, X: Any) -> Any:
        hidden = ACTIVATIONS[self.network.hidden]
        for W, b in parameters[:-1]:
            X = hidden(X @ W + b)
        W, b = parameters[-1]
        return X @ W + b

    def _forward(self, parameters: Any, X: Any) -> Any:
        return ACTIVATIONS[self.network.output](self._logits(parameters, X))

    def _loss(self, parameters: Any, X: Any, Y: Any) -> Any:
        match self.network.loss:
            case "binary_cross_entropy":
                z = self._logits(parameters, X)
                return (nn.softplus(z) - Y * z).sum()
            case "categorical_cross_entropy":
                return -(Y * nn.log_softmax(self._logits(parameters, X))).sum()
            case "mean_squared_error":
                return jnp.square(self._forward(parameters, X) - Y).mean(axis=1).sum()
            case _:
                return jnp.square(self._forward(parameters, X) - Y).sum() / 2

    def _value_and_gradient(self, parameters: Any, X: Any, Y: Any) -> Any:
        return jax.value_and_grad(self._loss)(parameters, X, Y)

    def _train(self, parameters: Any, X: Any, Y: Any, rates: Any, epochs: Any, *, size: int, capacity: int) -> Any:
        """Return the trained parameters and the losses (capacity,), whose first ``epochs`` entries are set.

        ``rates`` (2, 2) holds the rates of the weights and the biases: first for a full batch, then for the last batch,
        which may be shorter.
        """
        steps, rest = divmod(len(X), size)
        n_full = steps * size
        batches = X[:n_full].reshape(steps, size, -1), Y[:n_full].reshape(steps, size, -1)

        def step(parameters: Any, batch: Any, rates: Any = rates[0]) -> Any:
            loss, gradient = self._value_and_gradient(parameters, *batch)
            rate, bias_rate = rates
            pairs = zip(parameters, gradient, strict=True)
            return [(W - rate * dW, b - bias_rate * db) for (W, b), (dW, db) in pairs], loss

        def epoch(number: Any, state: Any) -> Any:
            parameters, losses = state
            parameters, step_losses = lax.scan(step, parameters, batches)
            total = step_losses.sum()
            if rest:
                parameters, last = step(parameters, (X[n_full:], Y[n_full:]), rates[1])
                total += last
            return parameters, losses.at[number].set(total)

        return lax.fori_loop(0, epochs, epoch, (parameters, jnp.zeros(capacity, X.dtype)))


functions = cache(Functions)


class Model(_backend.Model):
    """JAX with jit compilation; all epochs of a training in one call."""

    dtypes = ("float64", "float32")
    compiles = True
    compiles_shapes = True

    def _store(self, parameters: Parameters) -> None:
        self._functions = functions(self.network)
        self._layers = jax.device_put([(W.astype(self.dtype), b.astype(self.dtype)) for W, b in parameters])
        self._forward_sample = self._sample
        self._sample(np.zeros(self.network.n_in, self.dtype), np.empty(self.network.n_out, self.dtype))

    def _fetch(self) -> LayerArrays:
        return [(np.asarray(W), np.asarray(b)) for W, b in self._layers]

    def _sample(self, x: Array, out: Array) -> None:
        out[:] = self._functions.forward(self._layers, x)

    def _forward_batch(self, X: Array) -> Array:
        return np.array(self._functions.forward(self._layers, X))

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._functions.loss(self._layers, X, Y))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        loss, gradient = self._functions.gradient(self._layers, X, Y)
        return float(loss), [(np.array(dW), np.array(db)) for dW, db in gradient]

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        rates = descent.learning_rate, descent.bias_learning_rate
        divisors = (descent.size, len(X) % descent.size or 1) if descent.mean else (1, 1)
        self._layers, losses = self._functions.train(
            self._layers,
            X,
            Y,
            np.array([[rate / divisor for rate in rates] for divisor in divisors], self.dtype),
            descent.epochs,
            size=descent.size,
            capacity=max(16, 1 << (descent.epochs - 1).bit_length()),
        )
        return list(np.asarray(losses)[: descent.epochs])
