"""Whether inputs are fit to show a wrong backend: on inputs that are too tame, or too extreme, a wrong one would pass.

Each criterion asks that something a wrong backend may do changes an output by much more than the bound on rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.proof.bounds import Analysis, Bounded, Pairs, exact, exact_pairs
from impls import Network

Array = NDArray[np.float64]

MARGIN = 100
"""How many times the bound a difference must be to count as seen."""
ACTIVE = 0.1, 0.9
"""Share of a ReLU layer's units, over the batch, that must be active."""
FLAT = 1e-3
"""A sigmoid, tanh or softmax with a slope below this counts as saturated."""
SATURATED = 0.5
"""Share of a layer's units, over the batch, that may be saturated."""


def find_fault(network: Network, dtype: str, parameters: Sequence[tuple[Array, Array]], X: Array, Y: Array) -> str:
    """What is wrong with the inputs, in one line; empty where nothing is."""
    analysis = Analysis(network, dtype)
    pairs, x = exact_pairs(parameters), exact(X)
    forward = analysis.forward(pairs, x)
    outputs = forward.outputs
    if not np.isfinite(outputs.error).all():
        return "the outputs overflow"
    values = [*(a.value for a in forward.inputs[1:]), outputs.value]
    for layer, (activation, a) in enumerate(zip(network.activations, values, strict=True), start=1):
        found = _dull(activation, a)
        if found:
            return f"{found} in layer {layer}"
    if not _differ(outputs.value, Y, outputs.error):
        return "the outputs are the targets"
    for text, other_network, other_pairs in _faults(network, pairs):
        other = Analysis(other_network, dtype).forward(other_pairs, x).outputs
        if not _differ(other.value, outputs.value, outputs.error):
            return f"the outputs are the same with {text}"
    for row in range(1, len(X)):
        if not _differ(outputs.value[row], outputs.value[row - 1], outputs.error[row]):
            return f"samples {row - 1} and {row} have the same outputs: their order does not matter"
    if len(X) > 1:
        spread = np.ptp(outputs.value, axis=0)
        for j in np.flatnonzero(spread <= MARGIN * outputs.error.max(axis=0)):
            return f"output {j + 1} is the same for all samples"
    return ""


def _dull(activation: str, a: Array) -> str:
    if activation == "relu":
        share = float((a > 0).mean())
        # Of up to three units, all may be active by chance.
        low, high = ACTIVE if a.size > 3 else (ACTIVE[0], 1)
        return "" if low <= share <= high else f"{share:.0%} of the ReLUs are active"
    slope = {"sigmoid": a * (1 - a), "softmax": a * (1 - a), "tanh": 1 - a * a}.get(activation)
    share = 0.0 if slope is None else float((slope < FLAT).mean())
    return f"{share:.0%} of the units are saturated" if share > SATURATED else ""


def _faults(network: Network, pairs: Pairs) -> list[tuple[str, Network, Pairs]]:
    """Networks that a wrong backend might compute instead."""
    faults = []
    for layer, (W, b) in enumerate(pairs):
        without = pairs.copy()
        without[layer] = (W, exact(np.zeros_like(b.value)))
        faults.append((f"the bias of layer {layer + 1} dropped", network, without))
        scaled = pairs.copy()
        scaled[layer] = (Bounded(-W.value, W.error), b)
        faults.append((f"the weights of layer {layer + 1} negated", network, scaled))
    if len(pairs) > 1:
        other = replace(network, hidden="sigmoid" if network.hidden == "tanh" else "tanh")
        faults.append((f"{other.hidden} in the hidden layers", other, pairs))
    return faults


def _differ(a: Array, b: Array, error: Array) -> bool:
    return bool((np.abs(a - b) > MARGIN * error).any())
