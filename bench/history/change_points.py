"""The points at which a series changed by more than a threshold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from pairbench.change_points import segments

SHORTEST = 5
"""Number of values before and after a change."""


class ChangePoint(NamedTuple):
    """The position of the first value after a change, and the median after it minus the median before it."""

    position: int
    change: float


def change_points(values: Sequence[float], threshold: float) -> list[ChangePoint]:
    """The change points of a series of logarithms of speeds; ``threshold`` is a share.

    They are the changes of the level by penalized least squares (see ``pairbench.change_points``). The smallest change
    is left out, again and again, until the median differs by more than the threshold across each. Two outliers in a row
    hardly change a median of five values.
    """
    starts, least = [part.start for part in segments(values, SHORTEST)[1:]], math.log1p(threshold)
    points = _points(values, starts)
    while points and abs((smallest := min(points, key=lambda point: abs(point.change))).change) <= least:
        points = _points(values, [point.position for point in points if point != smallest])
    return points


def _points(values: Sequence[float], starts: Sequence[int]) -> list[ChangePoint]:
    bounds = pairwise([0, *starts, len(values)])
    return [
        ChangePoint(start, median(values[start:end]) - median(values[before:start]))
        for (before, start), (_, end) in pairwise(bounds)
    ]
