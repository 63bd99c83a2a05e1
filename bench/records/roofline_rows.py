"""The limits of a machine as rows of a document, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.schema import RooflineRow
from bench.roofline.lower_bound import MachineLimits


def roofline_rows(limits: MachineLimits) -> list[RooflineRow]:
    """A row for every measured limit of the machine."""

    def row(what: Any, detail: str, dtype: str | None, rate: float) -> RooflineRow:
        return RooflineRow(what=what, detail=detail, dtype=dtype, per_second=rate)

    return [
        *(row("products", detail, dtype, rate) for (dtype, detail), rate in limits.products.items()),
        *(row("exponentials", "", dtype, rate) for dtype, rate in limits.exponentials.items()),
        *(row("reading", f"{size} bytes", None, rate) for size, rate in limits.reading.items()),
        *(row("calls", detail, dtype, rate) for (dtype, detail), rate in limits.calls.items()),
    ]


def limits_of_rows(rows: Sequence[RooflineRow]) -> MachineLimits:
    """Return the limits that the rows of a document hold."""
    return MachineLimits(
        products={(str(row.dtype), row.detail): row.per_second for row in rows if row.what == "products"},
        exponentials={str(row.dtype): row.per_second for row in rows if row.what == "exponentials"},
        reading={int(row.detail.split()[0]): row.per_second for row in rows if row.what == "reading"},
        calls={(str(row.dtype), row.detail): row.per_second for row in rows if row.what == "calls"},
    )
