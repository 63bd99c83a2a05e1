"""The specification of a network: layer sizes, activations and loss. Also draws and checks parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from impls import _check

Parameters = list[tuple[NDArray[np.float64], NDArray[np.float64]]]

HIDDEN = ("sigmoid", "tanh", "relu")
OUTPUTS = {
    "half_squared_error": ("sigmoid", "tanh", "relu", "identity"),
    "mean_squared_error": ("sigmoid", "tanh", "relu", "identity"),
    "binary_cross_entropy": ("sigmoid",),
    "categorical_cross_entropy": ("softmax",),
}
"""Maps each loss to the output activations that can be combined with it."""


@dataclass(frozen=True)
class Network:
    """A fully connected feed-forward network (multilayer perceptron).

    ``layer_sizes`` holds the number of nodes of every layer, input layer first: two or more positive integers.
    Each layer computes ``activation(a @ W + b)`` with W of shape (n_in, n_out) and b of shape (n_out,).

    The loss of one sample, for outputs a, logits z (the last layer before its activation) and targets y, is:

    - ``half_squared_error``: ½ Σ (a − y)²
    - ``mean_squared_error``: the mean of (a − y)² over the outputs
    - ``binary_cross_entropy``: Σ (log(1 + exp z) − y z)
    - ``categorical_cross_entropy``: Σ y (log Σ exp z − z)

    The derivative of ReLU at 0 is 0.

    Raises TypeError or ValueError, with a one-line message, for an invalid value and for an output activation that
    cannot be combined with the loss.
    """

    layer_sizes: tuple[int, ...]
    hidden: str = "sigmoid"
    output: str = "sigmoid"
    loss: str = "half_squared_error"

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer_sizes", _layer_sizes(self.layer_sizes))
        _check.choice("hidden", self.hidden, HIDDEN)
        _check.choice("loss", self.loss, tuple(OUTPUTS))
        _check.choice("output", self.output, sorted({name for names in OUTPUTS.values() for name in names}))
        if self.output not in OUTPUTS[self.loss]:
            losses = [loss for loss, outputs in OUTPUTS.items() if self.output in outputs]
            raise ValueError(
                f"loss {self.loss} goes with output {' or '.join(OUTPUTS[self.loss])}, not with {self.output}; "
                f"output {self.output} goes with loss {' or '.join(losses)}"
            )
        if self.output == "softmax" and self.n_out < 2:
            raise ValueError("softmax needs two outputs or more; for one output use sigmoid and binary_cross_entropy")

    @classmethod
    def parse(
        cls,
        text: str,
        hidden: str = "sigmoid",
        output: str = "sigmoid",
        loss: str = "half_squared_error",
    ) -> Network:
        """Build a network from a text such as ``100-100-50-10``, its layer sizes. Raises TypeError or ValueError."""
        if not isinstance(text, str):
            raise TypeError(f"a network is written as text, such as '3-3-1', not {type(text).__name__}")
        parts = text.strip().split("-")
        if len(parts) < 2 or not all(part.isascii() and part.isdigit() for part in parts):
            raise ValueError(f"a network is written as layer sizes joined by '-', such as 3-3-1, not {text!r}")
        return cls(tuple(int(part) for part in parts), hidden, output, loss)

    def __str__(self) -> str:
        return "-".join(map(str, self.layer_sizes))

    def _repr_html_(self) -> str:
        """The layers as a table, for a notebook."""
        numbers = [(n_in + 1) * n_out for n_in, n_out in self.shapes]
        lines = [
            f"<tr><td>{n_in} → {n_out}</td><td>{activation}</td><td>{number:,}</td></tr>"
            for (n_in, n_out), activation, number in zip(self.shapes, self.activations, numbers, strict=True)
        ]
        return (
            f"<table><caption>Network {self}, loss {self.loss}, {sum(numbers):,} parameters</caption>"
            f"<tr><th>layer</th><th>activation</th><th>parameters</th></tr>{''.join(lines)}</table>"
        )

    @property
    def n_in(self) -> int:
        """Number of inputs."""
        return self.layer_sizes[0]

    @property
    def n_out(self) -> int:
        """Number of outputs."""
        return self.layer_sizes[-1]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shape (n_in, n_out) of each layer's weights."""
        return list(zip(self.layer_sizes, self.layer_sizes[1:], strict=False))

    @property
    def activations(self) -> list[str]:
        """Activation of each layer; that of the last layer is ``output``."""
        return [self.hidden] * (len(self.layer_sizes) - 2) + [self.output]

    def random_parameters(self, seed: int = 0) -> Parameters:
        """Draw float64 parameters [(W, b), …] from ``default_rng(seed)``.

        W is normal with variance 1/n_in, b is normal with variance 0.01.
        """
        rng = np.random.default_rng(seed)
        return [
            (rng.normal(scale=n_in**-0.5, size=(n_in, n_out)), rng.normal(scale=0.1, size=n_out))
            for n_in, n_out in self.shapes
        ]

    def check_parameters(self, parameters: Sequence[tuple[ArrayLike, ArrayLike]], dtype: np.dtype[Any]) -> Parameters:
        """Copy the parameters [(W, b), …] as float64 arrays whose values are rounded to ``dtype``.

        Raises TypeError or ValueError if a parameter is not real, not finite, or of a shape that does not fit the
        network.
        """
        try:
            pairs = [(W, b) for W, b in parameters]
        except Exception:  # the caller's objects may raise anything
            raise TypeError("parameters must be a list of pairs (W, b), one for each layer") from None
        if len(pairs) != len(self.shapes):
            raise ValueError(f"network {self} needs {len(self.shapes)} pairs (W, b), got {len(pairs)}")
        return [
            (
                _parameter(f"W of layer {layer}", W, shape, dtype),
                _parameter(f"b of layer {layer}", b, shape[1:], dtype),
            )
            for layer, ((W, b), shape) in enumerate(zip(pairs, self.shapes, strict=True), start=1)
        ]


def _layer_sizes(sizes: Any) -> tuple[int, ...]:
    if isinstance(sizes, str):
        raise TypeError(f"layer_sizes must be a sequence of integers; for text use Network.parse({sizes!r})")
    # A mapping's keys would be taken, a set has no order, and bytes are text, too.
    if isinstance(sizes, Mapping | Set | bytes | bytearray):
        raise TypeError(f"layer_sizes must be a sequence of integers, not {type(sizes).__name__}")
    try:
        entries = tuple(sizes)
    except Exception:  # the caller's object may raise anything
        raise TypeError(f"layer_sizes must be a sequence of integers, not {type(sizes).__name__}") from None
    if len(entries) < 2:
        raise ValueError(f"layer_sizes needs two entries or more, inputs and outputs, got {len(entries)}")
    result = []
    for entry in entries:
        try:
            if isinstance(entry, (bool, np.bool_)):
                raise TypeError
            size = index(entry)
        except Exception:
            raise TypeError(f"a layer size must be an integer, got {_check.abbreviated(entry)}") from None
        if size < 1:
            raise ValueError(f"a layer size must be 1 or more, got {_check.abbreviated(size)}")
        result.append(size)
    return tuple(result)


def _parameter(name: str, value: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    array = _check.converted(name, value, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
    _check.finite(name, array)
    return array.astype(np.float64)
