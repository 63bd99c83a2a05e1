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
- train: of every update the gradient, and (n + 1) m operations more.

*Read* are the parameters, X and, but for ``forward``, Y, once each; in a training the parameters for every update and
the samples in every epoch. Writing may go on meanwhile. *Held* are the different bytes among those.

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
class OperationCounts:
    """Operations, exponentials, bytes that are read, and how many of them are different."""

    operations: int
    exponentials: int
    read: int
    held: int


def count_operations(case: Case) -> OperationCounts:
    """What one call of a case must do at least."""
    network, itemsize = case.network, np.dtype(case.dtype).itemsize
    parameters = _parameters(network)
    samples = case.batch * (network.n_in + (network.n_out if case.operation != "forward" else 0))
    held = (parameters + samples) * itemsize
    if case.operation == "forward":
        return OperationCounts(*_forward(network, case.batch), held, held)
    updates = case.steps
    operations = exponentials = 0
    for rows in updates:
        batch = rows.stop - rows.start
        of_forward, exponentials_of_forward = _forward(network, batch)
        operations += of_forward + _backward(network, batch) + (parameters if case.operation == "train" else 0)
        exponentials += exponentials_of_forward + _logarithms(network, batch)
    read = (len(updates) * parameters + samples) * itemsize
    return OperationCounts(case.epochs * operations, case.epochs * exponentials, case.epochs * read, held)


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
