"""PyTorch in eager mode, with hand-written back-propagation.

Design decisions, with times in float64 on one thread:

- The tensors of one sample are allocated once, and operators write into them with ``out=``: a sample takes 3.6 µs for
  3-3-1 and 7.2 µs for 100-100-50-10. ``inference_mode``, ``from_numpy`` and ``addmv`` would take 8.2 and 13.2 µs,
  ``nn.Linear`` modules 17 and 26 µs. No tensor requires a gradient, so there is no need to enter ``inference_mode``,
  which would take 1.6 µs by itself.
- Gradients are written by hand: an epoch of four steps of 2-3-1 takes 163 µs instead of 341 with autograd, and an epoch
  of 1078 samples of 64-30-10 takes 0.41 ms instead of 0.59.

OMP_NUM_THREADS sets the number of PyTorch's threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, addmm, mm
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from impls import _backend
from impls._backend import Array, Descent, Gradient, LayerArrays
from impls._network import Network, Parameters

Tensors = list[Tensor]

IN_PLACE: dict[str, Any] = {
    "sigmoid": torch.sigmoid_,
    "tanh": torch.tanh_,
    "relu": torch.relu_,
    "identity": lambda z: z,
    "softmax": lambda z: torch.softmax(z, -1, out=z),
}


def multiply_derivative(activation: str, a: Tensor, delta: Tensor) -> None:
    """Multiply delta by the derivative of the activation, computed from the activation's value a."""
    if activation == "sigmoid":
        delta.mul_(a).mul_(1 - a)
    elif activation == "tanh":
        delta.mul_(1 - a * a)
    elif activation == "relu":
        delta.mul_(a > 0)


def logits(network: Network, weights: Tensors, biases: Tensors, X: Tensor) -> tuple[Tensors, Tensor]:
    """Return the input of every layer, X first, and the logits (the last layer before its activation)."""
    inputs = [X]
    for W, b in zip(weights[:-1], biases, strict=False):
        inputs.append(IN_PLACE[network.hidden](addmm(b, inputs[-1], W)))
    return inputs, addmm(biases[-1], inputs[-1], weights[-1])


def forward(network: Network, weights: Tensors, biases: Tensors, X: Tensor) -> Tensor:
    """Return the outputs (batch, n_out) of X (batch, n_in)."""
    z: Tensor = IN_PLACE[network.output](logits(network, weights, biases, X)[1])
    return z


def error(network: Network, z: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the summed loss of a batch and its derivative with respect to the logits z; overwrites z."""
    output = IN_PLACE[network.output]
    match network.loss:
        case "binary_cross_entropy":
            loss = binary_cross_entropy_with_logits(z, Y, reduction="sum")
            return loss, output(z).sub_(Y)
        case "categorical_cross_entropy":
            loss = cross_entropy(z, Y, reduction="sum")
            return loss, output(z).sub_(Y)
        case _:
            scale = 1.0 if network.loss == "half_squared_error" else 2 / network.n_out
            a = output(z)
            delta = a - Y
            flat = delta.view(-1)
            loss = torch.dot(flat, flat).mul_(scale / 2)
            multiply_derivative(network.output, a, delta)
            return loss, delta if scale == 1 else delta.mul_(scale)


def gradient(
    network: Network, weights: Tensors, biases: Tensors, X: Tensor, Y: Tensor
) -> tuple[Tensor, Tensors, Tensors]:
    """Return the summed loss of a batch, its gradients for the weights, and its gradients for the biases."""
    inputs, z = logits(network, weights, biases, X)
    loss, delta = error(network, z, Y)
    weight_gradients, bias_gradients = [], []
    for layer in range(len(inputs) - 1, -1, -1):
        a = inputs[layer]
        weight_gradients.append(mm(a.T, delta))
        bias_gradients.append(delta.sum(0))
        if layer > 0:
            delta = mm(delta, weights[layer].T)
            multiply_derivative(network.hidden, a, delta)
    return loss, weight_gradients[::-1], bias_gradients[::-1]


def tensor(array: Array) -> Tensor:
    """Wrap the array in a tensor. Copies a read-only array or one with negative strides, as PyTorch requires."""
    return torch.from_numpy(array if array.flags.writeable and min(array.strides) > 0 else array.copy())


class Model(_backend.Model):
    """PyTorch in eager mode, with hand-written back-propagation."""

    dtypes = ("float64", "float32")

    def _store(self, parameters: Parameters) -> None:
        self._weights = [tensor(W.astype(self.dtype)) for W, _ in parameters]
        self._biases = [tensor(b.astype(self.dtype)) for _, b in parameters]
        self._forward_sample = self._sample_function()

    def _fetch(self) -> LayerArrays:
        return [(W.numpy(), b.numpy()) for W, b in zip(self._weights, self._biases, strict=True)]

    def _sample_function(self) -> Callable[[Array, Array], object]:
        values = [torch.empty(n, dtype=self._weights[0].dtype) for n in self.network.layer_sizes]
        activate = [IN_PLACE[name] for name in self.network.activations]
        transposed = [W.T for W in self._weights]
        steps = list(zip(self._biases, transposed, values, values[1:], activate, strict=False))
        first, last = values[0].numpy(), values[-1].numpy()
        addmv = torch.addmv

        def sample(x: Array, out: Array) -> None:
            first[:] = x
            for b, W, a, z, activation in steps:
                addmv(b, W, a, out=z)
                activation(z)
            out[:] = last

        return sample

    def _outputs(self, X: Tensor) -> Tensor:
        return forward(self.network, self._weights, self._biases, X)

    def _backpropagate(self, X: Tensor, Y: Tensor) -> tuple[Tensor, Tensors, Tensors]:
        return gradient(self.network, self._weights, self._biases, X, Y)

    def _forward_batch(self, X: Array) -> Array:
        return np.asarray(self._outputs(tensor(X)))

    def _loss(self, X: Array, Y: Array) -> float:
        _, z = logits(self.network, self._weights, self._biases, tensor(X))
        return float(error(self.network, z, tensor(Y))[0])

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        loss, weight_gradients, bias_gradients = self._backpropagate(tensor(X), tensor(Y))
        return loss.item(), [(dW.numpy(), db.numpy()) for dW, db in zip(weight_gradients, bias_gradients, strict=True)]

    def _train(self, X: Array, Y: Array, descent: Descent) -> list[float]:
        batches = []
        for start in range(0, len(X), descent.size):
            x, y = X[start : start + descent.size], Y[start : start + descent.size]
            scale = -1 / len(x) if descent.mean else -1
            # The conversion to the model's dtype turns a rate that is too large into infinity. PyTorch accepts infinity
            # but rejects a finite rate that is too large for the dtype.
            rates = (self.dtype.type(rate * scale) for rate in (descent.learning_rate, descent.bias_learning_rate))
            batches.append((tensor(x), tensor(y), *map(float, rates)))
        losses = []
        for _ in range(descent.epochs):
            step_losses = []
            for x, y, rate, bias_rate in batches:
                loss, weight_gradients, bias_gradients = self._backpropagate(x, y)
                # Not addmm_ into the weights: it would round the weights after every sample, and the error would exceed
                # the bound of the proof.
                torch._foreach_add_(self._weights, weight_gradients, alpha=rate)
                torch._foreach_add_(self._biases, bias_gradients, alpha=bias_rate)
                step_losses.append(loss)
            losses.append(step_losses[0] if len(step_losses) == 1 else torch.stack(step_losses).sum())
        return list(torch.stack(losses).tolist())
