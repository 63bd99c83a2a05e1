"""Targets: known values with error bounds, with which computed arrays are compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.proof.bounds import Bounded, Pairs
from bench.proof.oracle import Number, mp
from impls import Network
from pairbench.workload import OtherObject

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Outcome of a comparison: the largest error in ulps of the exact value, and the largest error ÷ its bound.

    ``reason`` describes the failure in one line, and is empty if ``ok``.
    """

    ok: bool
    ulps: float
    share: float
    reason: str


@dataclass(frozen=True)
class Target:
    """The known value of an array, and a bound on the error of the computed array.

    The value is ``high + low``, two float64 arrays. Errors are also stated in ulps if the value is exact.
    """

    quantity: str
    dtype: str
    high: Array
    low: Array
    bound: Array
    is_exact: bool
    network: Network | None = None
    """The network, if the array is a vector of parameters or a gradient."""
    entries: tuple[int, ...] | None = None
    """The positions of the array's values in the vector of all parameters; None if the array has all of them."""

    def judge(self, computed: Any) -> Evidence:
        """Compare a computed array or float with the target."""
        if isinstance(computed, OtherObject):
            reason = f"{self.quantity} is a {computed.type_name}, not a plain array or number"
            return Evidence(False, np.inf, np.inf, reason)
        array = np.asarray(computed, np.float64)
        if array.shape != self.high.shape:
            return Evidence(False, np.inf, np.inf, f"{self.quantity} has shape {array.shape}, not {self.high.shape}")
        with np.errstate(all="ignore"):
            error = np.abs(array - self.high - self.low)
            share = np.where(error == 0, 0, error / self.bound)
            unit = np.spacing(np.maximum(np.abs(self.high), np.finfo(self.dtype).tiny).astype(self.dtype))
            ulps = error / unit.astype(np.float64)
        worst = np.unravel_index(np.argmax(np.where(np.isnan(share), np.inf, share)), share.shape)
        if not share[worst] <= 1:
            place = self._place(worst)
            return Evidence(
                False,
                float(ulps[worst]),
                float(share[worst]),
                f"{self.quantity}{place} is {array[worst]:.9g}, not {self.high[worst]:.9g} ± {self.bound[worst]:.2g}",
            )
        return Evidence(True, float(ulps.max()) if self.is_exact else 0.0, float(share[worst]), "")

    def _place(self, worst: Any) -> str:
        if self.network is None:
            return str([int(i) for i in worst]) if worst else ""
        (index,) = worst
        place = int(index) if self.entries is None else self.entries[int(index)]
        for layer, (n_in, n_out) in enumerate(self.network.shapes, start=1):
            if place < (n_in + 1) * n_out:
                i, j = divmod(place, n_out)
                return f" of W[{i}, {j}] in layer {layer}" if i < n_in else f" of b[{j}] in layer {layer}"
            place -= (n_in + 1) * n_out
        raise IndexError(place)


def exact_target(quantity: str, dtype: str, values: Any, bound: Array) -> Target:
    """Make a target from exact values: mpmath numbers in (nested) lists, reshaped to the shape of the bound."""
    flat = _flat_numbers(values)
    high = np.array([float(value) for value in flat])
    low = np.array([float(value - mp.mpf(float(value))) for value in flat])
    return Target(quantity, dtype, high.reshape(bound.shape), low.reshape(bound.shape), bound, True)


def bounded_target(
    quantity: str, dtype: str, reference: Bounded, bounded: Bounded, network: Network | None = None
) -> Target:
    """Make a target from the error analysis.

    ``reference`` is the float64 analysis, which gives the value and its error. ``bounded`` is the analysis in the dtype
    of the computed array, which gives the error allowed for that array. The bound is the sum of both errors.
    ``network``: that of a vector of parameters or of a gradient, whose entries the target then names.
    """
    bound = reference.error + bounded.error
    return Target(quantity, dtype, reference.value, np.zeros_like(bound), bound, False, network)


def combined(evidence: Iterable[Evidence]) -> Evidence:
    """Return the first failure; if there is none, the largest ulps and the largest share of the bound."""
    outcomes = list(evidence)
    for outcome in outcomes:
        if not outcome.ok:
            return outcome
    return Evidence(True, max(outcome.ulps for outcome in outcomes), max(outcome.share for outcome in outcomes), "")


def flat(pairs: Sequence[tuple[Any, Any]]) -> Array:
    """Concatenate parameters or a gradient, [(W, b), …], into a float64 vector: for each layer W row by row, then b."""
    return np.concatenate([np.asarray(part, np.float64).ravel() for pair in pairs for part in pair])


def flat_bounded(pairs: Pairs) -> Bounded:
    """Concatenate bounded parameters or a bounded gradient in the order of ``flat``."""
    return Bounded(flat([(W.value, b.value) for W, b in pairs]), flat([(W.error, b.error) for W, b in pairs]))


def _flat_numbers(values: Any) -> list[Number]:
    if isinstance(values, (list, tuple)):
        return [number for value in values for number in _flat_numbers(value)]
    return [values]
