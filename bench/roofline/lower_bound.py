"""The measured limits of a machine, and the lower bound that they set on the time of a call.

lower bound = time of an empty call + max(arithmetic, reading), where

- arithmetic = operations ÷ peak rate of matrix products + exponentials ÷ rate of exponentials;
- reading = bytes read ÷ bandwidth. The bandwidth is that of repeatedly reading as many bytes as the call's distinct
  data.

Arithmetic and reading may overlap, so only the longer of the two counts. Products and exponentials use the same
execution units, so their times are added. ``operation_counts.py`` defines the counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from bench.cases import Case
from bench.roofline.operation_counts import count_operations

Key = TypeVar("Key")


@dataclass(frozen=True)
class MachineLimits:
    """The highest rates of a machine, per second, on one thread.

    - ``products``: operations of matrix products, by dtype, and by the shape of the product or the case it is part of;
    - ``exponentials``: by dtype;
    - ``reading``: bytes read, by the size in bytes of the array that is read repeatedly;
    - ``calls``: empty calls, by dtype and ``call_kind``.
    """

    products: Mapping[tuple[str, str], float]
    exponentials: Mapping[str, float]
    reading: Mapping[int, float]
    calls: Mapping[tuple[str, str], float]

    def peak(self, dtype: str) -> float:
        """Return the operations per second of the fastest matrix product in the dtype."""
        return max(rate for (product_dtype, _), rate in self.products.items() if product_dtype == dtype)

    def bandwidth(self, size: int) -> float:
        """Return the bytes per second at which an array of ``size`` bytes can be read repeatedly.

        From the largest measured size that is not above ``size`` on, this is the highest measured rate. So a larger
        array never has a higher bandwidth.
        """
        smallest = max((measured for measured in self.reading if measured <= size), default=min(self.reading))
        return max(rate for measured, rate in self.reading.items() if measured >= smallest)

    def better(self, other: MachineLimits) -> MachineLimits:
        """Return the higher of two measurements of each rate."""
        return MachineLimits(
            _higher_rates(self.products, other.products),
            _higher_rates(self.exponentials, other.exponentials),
            _higher_rates(self.reading, other.reading),
            _higher_rates(self.calls, other.calls),
        )


def call_kind(case: Case) -> str:
    """Return the property of a case that, with the dtype, determines the time of an empty call."""
    return f"{case.operation}, {'1 sample' if (case.operation, case.batch) == ('forward', 1) else 'a batch'}"


def lower_bound(case: Case, limits: MachineLimits) -> float:
    """Return the lower bound of the time of a call, in seconds."""
    counts = count_operations(case)
    arithmetic = counts.operations / limits.peak(case.dtype) + counts.exponentials / limits.exponentials[case.dtype]
    reading = counts.read / limits.bandwidth(counts.held)
    return 1 / limits.calls[case.dtype, call_kind(case)] + max(arithmetic, reading)


def _higher_rates(first: Mapping[Key, float], second: Mapping[Key, float]) -> dict[Key, float]:
    return {key: max(first.get(key, 0), second.get(key, 0)) for key in {**first, **second}}
