"""The limits of a machine, and the floor that they set: the time which a call of a case must take at least.

floor = empty call + the longer of two: operations ÷ the peak of matrix products + exponentials × the time of one; bytes
read ÷ the bandwidth at which as many as are held are read over and over again. Arithmetic and reading may overlap;
products and exponentials share the same units. The counts are those of ``counts.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.cases import Case
from bench.records.schema import RooflineRow
from bench.roofline.operation_counts import count_operations

Key = TypeVar("Key")


@dataclass(frozen=True)
class MachineLimits:
    """What a machine does in a second, on one thread, at best.

    ``products``: operations of matrix products, by dtype and by their shape or the case that they are of.
    ``exponentials``: by dtype. ``reading``: bytes, by how many are read over and over again. ``calls``: empty calls,
    by dtype and ``kind``.
    """

    products: Mapping[tuple[str, str], float]
    exponentials: Mapping[str, float]
    reading: Mapping[int, float]
    calls: Mapping[tuple[str, str], float]

    @classmethod
    def from_rows(cls, rows: Sequence[RooflineRow]) -> MachineLimits:
        """The limits that the rows of a document hold."""
        return cls(
            products={(str(row.dtype), row.detail): row.per_second for row in rows if row.what == "products"},
            exponentials={str(row.dtype): row.per_second for row in rows if row.what == "exponentials"},
            reading={int(row.detail.split()[0]): row.per_second for row in rows if row.what == "reading"},
            calls={(str(row.dtype), row.detail): row.per_second for row in rows if row.what == "calls"},
        )

    def peak(self, dtype: str) -> float:
        """Operations in a second of the fastest matrix product."""
        return max(rate for (of, _), rate in self.products.items() if of == dtype)

    def bandwidth(self, size: int) -> float:
        """Bytes in a second where ``size`` bytes are read over and over again.

        That is the best of what was measured for sizes from the last that is not above ``size``, so that it never
        rises with the size.
        """
        reached = max((one for one in self.reading if one <= size), default=min(self.reading))
        return max(rate for one, rate in self.reading.items() if one >= reached)

    def better(self, other: MachineLimits) -> MachineLimits:
        """The better of two measurements of the same, one by one."""
        return MachineLimits(
            _better(self.products, other.products),
            _better(self.exponentials, other.exponentials),
            _better(self.reading, other.reading),
            _better(self.calls, other.calls),
        )


def call_kind(case: Case) -> str:
    """What the cost of an empty call depends on, beside the dtype."""
    return f"{case.operation}, {'1 sample' if (case.operation, case.batch) == ('forward', 1) else 'a batch'}"


def lower_bound(case: Case, limits: MachineLimits) -> float:
    """Seconds that a call of the case takes at least."""
    counts = count_operations(case)
    arithmetic = counts.operations / limits.peak(case.dtype) + counts.exponentials / limits.exponentials[case.dtype]
    reading = counts.read / limits.bandwidth(counts.held)
    return 1 / limits.calls[case.dtype, call_kind(case)] + max(arithmetic, reading)


def _better(first: Mapping[Key, float], second: Mapping[Key, float]) -> dict[Key, float]:
    return {key: max(first.get(key, 0), second.get(key, 0)) for key in {**first, **second}}
