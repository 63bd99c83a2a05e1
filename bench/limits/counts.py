"""What a call must do at least: the counting model of the limits.

An *operation* is a product with a sum, fused, or one of these, or a quotient, where nothing can be fused with it. For a
layer of n inputs and m nodes, and a batch of B samples:

- forward: B n m operations; the bias is what a sum begins with. An activation with an exponential (sigmoid, tanh,
  softmax) takes one for each value, and 2 operations, a sum and a quotient. ReLU and identity take none.
- gradient: forward, and the loss with 1 operation for each output; a cross-entropy takes a logarithm as well, for each
  output (binary) or sample (categorical), which counts as an exponential. Then 1 operation for each output minus
  target; B n m for the weights' slopes and (B - 1) m for the biases'; B n m for what goes back through every layer but
  the first; and 2 for the slope of a sigmoid or tanh and the product with it, for each hidden value, and each output
  where the loss is a squared error.
- train: gradient, and (n + 1) m operations for the update.

*Read* are the parameters, X and, but for ``forward``, Y, once each. Writing may go on meanwhile.

What is not counted makes a floor lower, never higher: checks, the order of samples in memory, and above all waiting.
Where each result needs the one before, as in a network of a few nodes, a processor is far from its peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.cases import Case
from impls import Network

EXPONENTIAL = ("sigmoid", "tanh", "softmax")
CURVED = ("sigmoid", "tanh")
"""Activations whose slope takes an operation, and the product with it another."""


@dataclass(frozen=True)
class Counts:
    """Operations, exponentials, and bytes that are read."""

    operations: int
    exponentials: int
    read: int


def count(case: Case) -> Counts:
    """What one call of a case must do at least."""
    network, batch, itemsize = case.network, case.batch, np.dtype(case.dtype).itemsize
    parameters = _parameters(network)
    operations, exponentials = _forward(network, batch)
    values = parameters + batch * network.n_in
    if case.operation != "forward":
        operations += _backward(network, batch)
        exponentials += _logarithms(network, batch)
        values += batch * network.n_out
    if case.operation == "train":
        operations += parameters
    return Counts(operations, exponentials, values * itemsize)


def _parameters(network: Network) -> int:
    return sum((n + 1) * m for n, m in network.shapes)


def _forward(network: Network, batch: int) -> tuple[int, int]:
    """Operations and exponentials."""
    layers = zip(network.shapes, network.activations, strict=True)
    exponentials = sum(m for (_, m), activation in layers if activation in EXPONENTIAL)
    return batch * (sum(n * m for n, m in network.shapes) + 2 * exponentials), batch * exponentials


def _backward(network: Network, batch: int) -> int:
    """Operations of the loss and of the slopes."""
    _, *others = network.shapes
    slopes = sum(batch * n * m + (batch - 1) * m for n, m in network.shapes)
    passed = sum(batch * n * (m + 2 * (network.hidden in CURVED)) for n, m in others)
    squared = network.loss.endswith("squared_error")
    return slopes + passed + batch * network.n_out * (2 + 2 * (squared and network.output in CURVED))


def _logarithms(network: Network, batch: int) -> int:
    return batch * {"binary_cross_entropy": network.n_out, "categorical_cross_entropy": 1}.get(network.loss, 0)
