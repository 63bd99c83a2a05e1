"""The counting model of the roofline: the arithmetic and the memory reads that a call needs at least.

An *operation* is a fused multiply-add, or a single addition, multiplication or division that cannot be fused. The
counts for a layer of n inputs and m nodes, and a batch of B samples, are:

- forward: B n m operations; each sum starts with the bias. An activation with an exponential (sigmoid, tanh, softmax)
  takes 1 exponential and 2 operations (an addition and a division) per value. ReLU and identity take nothing.
- gradient: the forward pass, and
  - for the loss 1 operation per output. A cross-entropy also takes a logarithm per output (binary) or per sample
    (categorical). A logarithm counts as an exponential;
  - 1 operation per output for output minus target;
  - B n m operations for the gradient of the weights, and (B - 1) m for that of the biases;
  - B n m operations to propagate the gradient back through the layer, except through the first layer;
  - 2 operations per hidden value for the derivative of sigmoid or tanh and the multiplication by it, and as many per
    output if the loss is a squared error.
- train: for each update the gradient and (n + 1) m operations.

A call *reads* the parameters, X and (except in ``forward``) Y once each. A training reads the parameters once per
update, and the samples once per epoch. Writes are not counted, because they may overlap with reads. *Held* is the
number of distinct bytes among the bytes read.

Everything that is not counted makes the lower bound lower, never higher: the checks of arguments, the order of the
samples in memory, and above all latency. In a network of a few nodes each result depends on the one before, so the
processor stays far below its peak.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.cases import Case
from impls import Network

EXPONENTIAL = ("sigmoid", "tanh", "softmax")
CURVED = ("sigmoid", "tanh")
"""Activations whose derivative takes one operation; the multiplication by the derivative takes another."""


@dataclass(frozen=True)
class OperationCounts:
    """Numbers of operations and exponentials, of bytes read, and of distinct bytes among the bytes read."""

    operations: int
    exponentials: int
    read: int
    held: int


def count_operations(case: Case) -> OperationCounts:
    """Count the operations, the exponentials and the bytes that one call of a case needs at least."""
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
        forward_operations, forward_exponentials = _forward(network, batch)
        operations += forward_operations + _backward(network, batch) + (parameters if case.operation == "train" else 0)
        exponentials += forward_exponentials + _logarithms(network, batch)
    read = (len(updates) * parameters + samples) * itemsize
    return OperationCounts(case.epochs * operations, case.epochs * exponentials, case.epochs * read, held)


def _parameters(network: Network) -> int:
    """The number of parameters."""
    return sum((n + 1) * m for n, m in network.shapes)


def _forward(network: Network, batch: int) -> tuple[int, int]:
    """Operations and exponentials of the forward pass."""
    layers = zip(network.shapes, network.activations, strict=True)
    exponentials = sum(m for (_, m), activation in layers if activation in EXPONENTIAL)
    return batch * (sum(n * m for n, m in network.shapes) + 2 * exponentials), batch * exponentials


def _backward(network: Network, batch: int) -> int:
    """Operations of the loss and of its gradient."""
    _, *others = network.shapes
    parameter_gradients = sum(batch * n * m + (batch - 1) * m for n, m in network.shapes)
    propagated = sum(batch * n * (m + 2 * (network.hidden in CURVED)) for n, m in others)
    squared = network.loss.endswith("squared_error")
    return parameter_gradients + propagated + batch * network.n_out * (2 + 2 * (squared and network.output in CURVED))


def _logarithms(network: Network, batch: int) -> int:
    """Logarithms of the loss."""
    return batch * {"binary_cross_entropy": network.n_out, "categorical_cross_entropy": 1}.get(network.loss, 0)
