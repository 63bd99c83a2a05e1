"""Checks that inputs can reveal a wrong backend, which would pass if its fault did not change any output.

Each check requires that a typical fault changes an output by much more than the bound on the rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.proof.bounds import Analysis, Bounded, Pairs, exact, exact_pairs
from impls import Network
from pairbench.wording import in_percent

Array = NDArray[np.float64]

MARGIN = 100
"""A difference counts as visible if it is more than this many times the error bound."""
ACTIVE_SHARE = 0.1, 0.9
"""The smallest and the largest permitted share of active units in a ReLU layer, over the batch."""
SATURATION_DERIVATIVE = 1e-3
"""A sigmoid, tanh or softmax unit counts as saturated if its derivative is below this."""
MAX_SATURATED_SHARE = 0.5
"""The largest permitted share of saturated units in a layer, over the batch."""


def find_fault(network: Network, dtype: str, parameters: Sequence[tuple[Array, Array]], X: Array, Y: Array) -> str:
    """Return in one line why the inputs are unfit, or an empty string if the inputs are fit."""
    analysis = Analysis(network, dtype)
    pairs, x = exact_pairs(parameters), exact(X)
    forward = analysis.forward(pairs, x)
    outputs = forward.outputs
    if not np.isfinite(outputs.error).all():
        return "the outputs overflow"
    values = [*(a.value for a in forward.inputs[1:]), outputs.value]
    for layer, (activation, a) in enumerate(zip(network.activations, values, strict=True), start=1):
        reason = _inactive_or_saturated(activation, a)
        if reason:
            return f"{reason} in layer {layer}"
    if not _differ(outputs.value, Y, outputs.error):
        return "the outputs equal the targets"
    for fault, faulty_network, faulty_pairs in _faulty_networks(network, pairs):
        faulty = Analysis(faulty_network, dtype).forward(faulty_pairs, x).outputs
        if not _differ(faulty.value, outputs.value, outputs.error):
            return f"the outputs are the same with {fault}"
    for row in range(1, len(X)):
        if not _differ(outputs.value[row], outputs.value[row - 1], outputs.error[row]):
            return f"samples {row - 1} and {row} have the same outputs, so an exchange of the two would not show"
    if len(X) > 1:
        spread = np.ptp(outputs.value, axis=0)
        for j in np.flatnonzero(spread <= MARGIN * outputs.error.max(axis=0)):
            return f"output {j + 1} is the same for all samples"
    return ""


def _inactive_or_saturated(activation: str, a: Array) -> str:
    """Why the activations of a layer hide faults, or an empty string."""
    if activation == "relu":
        share = float((a > 0).mean())
        # All of up to three units may be active by chance.
        low, high = ACTIVE_SHARE if a.size > 3 else (ACTIVE_SHARE[0], 1)
        return "" if low <= share <= high else f"{in_percent(share)} of the ReLUs are active"
    derivative = {"sigmoid": a * (1 - a), "softmax": a * (1 - a), "tanh": 1 - a * a}.get(activation)
    share = 0.0 if derivative is None else float((derivative < SATURATION_DERIVATIVE).mean())
    return f"{in_percent(share)} of the units are saturated" if share > MAX_SATURATED_SHARE else ""


def _faulty_networks(network: Network, pairs: Pairs) -> list[tuple[str, Network, Pairs]]:
    """Faults, each with the network and the parameters that a backend with this fault would compute."""
    faults = []
    for layer, (W, b) in enumerate(pairs):
        unbiased = pairs.copy()
        unbiased[layer] = (W, exact(np.zeros_like(b.value)))
        faults.append((f"the bias of layer {layer + 1} dropped", network, unbiased))
        negated = pairs.copy()
        negated[layer] = (Bounded(-W.value, W.error), b)
        faults.append((f"the weights of layer {layer + 1} negated", network, negated))
    if len(pairs) > 1:
        other = replace(network, hidden="sigmoid" if network.hidden == "tanh" else "tanh")
        faults.append((f"{other.hidden} in the hidden layers", other, pairs))
    return faults


def _differ(a: Array, b: Array, error: Array) -> bool:
    return bool((np.abs(a - b) > MARGIN * error).any())
