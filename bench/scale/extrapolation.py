"""How long a call will take, from the calls that were timed. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from math import log


def extrapolate_seconds(timed: Sequence[tuple[float, float]], size: float, exponent: float) -> float | None:
    """Seconds of a call at a size, from pairs of sizes, growing, and seconds; None where there are none.

    The power law through the last two pairs goes on; from one alone, time grows with the power ``exponent``. Time is
    never taken to fall: where two small sizes take about the same, noise alone gives their law.
    """
    if not timed:
        return None
    last, seconds = timed[-1]
    if len(timed) > 1:
        before, shorter = timed[-2]
        exponent = max(0.0, log(seconds / shorter) / log(last / before))
    return seconds * float((size / last) ** exponent)
