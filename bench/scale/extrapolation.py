"""Prediction of the time of a call from the times of smaller calls. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from math import log


def extrapolate_seconds(timed: Sequence[tuple[float, float]], size: float, exponent: float) -> float | None:
    """Predict the seconds of a call at a size from (size, seconds) pairs of growing sizes; None if there are no pairs.

    The prediction continues the power law through the last two pairs. With one pair only, time grows with the power
    ``exponent`` of the size. The power is never negative, because times of two small sizes may differ by noise only.
    """
    if not timed:
        return None
    last, seconds = timed[-1]
    if len(timed) > 1:
        previous, previous_seconds = timed[-2]
        exponent = max(0.0, log(seconds / previous_seconds) / log(last / previous))
    return seconds * float((size / last) ** exponent)
