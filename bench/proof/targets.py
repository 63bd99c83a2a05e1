"""What a computed array is held to, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.proof.bounds import Bounded, Pairs
from bench.proof.oracle import Number, mp
from impls import Network

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """Outcome of a comparison: the worst error in ulps of the exact value, and as a share of its bound."""

    ok: bool
    ulps: float
    share: float
    reason: str


@dataclass(frozen=True)
class Target:
    """An array that is known, with a bound on the error of a computed one.

    The value is ``high + low``, two float64 arrays. Where it is exact, an error is stated in ulps, too.
    """

    what: str
    dtype: str
    high: Array
    low: Array
    bound: Array
    is_exact: bool
    network: Network | None = None
    """Where the array is a vector of parameters or slopes: their network,"""
    entries: tuple[int, ...] | None = None
    """and their places among all of its parameters, if not all are there."""

    def judge(self, computed: Any) -> Evidence:
        """Compare a computed array or float."""
        array = np.asarray(computed, np.float64)
        if array.shape != self.high.shape:
            return Evidence(False, np.inf, np.inf, f"{self.what} has shape {array.shape}, not {self.high.shape}")
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
                f"{self.what}{place} is {array[worst]:.9g}, not {self.high[worst]:.9g} ± {self.bound[worst]:.2g}",
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


def exact_target(what: str, dtype: str, values: Any, bound: Array) -> Target:
    """A target from mpmath numbers in (nested) lists, in the shape of the bound."""
    flat = _flat_numbers(values)
    high = np.array([float(value) for value in flat])
    low = np.array([float(value - mp.mpf(float(value))) for value in flat])
    return Target(what, dtype, high.reshape(bound.shape), low.reshape(bound.shape), bound, True)


def bounded_target(what: str, dtype: str, reference: Bounded, bounded: Bounded) -> Target:
    """A target from the analysis: the value and its own error in float64, and the error allowed in the dtype."""
    bound = reference.error + bounded.error
    return Target(what, dtype, reference.value, np.zeros_like(bound), bound, False)


def combined(evidence: Iterable[Evidence]) -> Evidence:
    """The first failure, or the worst of each figure."""
    evidence = list(evidence)
    for one in evidence:
        if not one.ok:
            return one
    return Evidence(True, max(one.ulps for one in evidence), max(one.share for one in evidence), "")


def flat(pairs: Sequence[tuple[Any, Any]]) -> Array:
    """Parameters or a gradient as one vector: layer by layer, W row by row and then b."""
    return np.concatenate([np.asarray(part, np.float64).ravel() for pair in pairs for part in pair])


def flat_bounded(pairs: Pairs) -> Bounded:
    """The same of bounded values."""
    return Bounded(flat([(W.value, b.value) for W, b in pairs]), flat([(W.error, b.error) for W, b in pairs]))


def _flat_numbers(values: Any) -> list[Number]:
    if isinstance(values, (list, tuple)):
        return [number for value in values for number in _flat_numbers(value)]
    return [values]
