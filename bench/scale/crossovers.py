"""Where a ratio of two times crosses 1. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, inf, log
from statistics import median

from pairbench.statistics import Interval

MARGIN = 0.02
"""Times that may differ by this much count as about the same: the A/A arm shows that the method sees no less."""

CONFIDENCE = 0.99
"""That of the intervals. Two backends have dozens of points: 95 % would make crossings out of noise."""

Point = tuple[float, Interval]
"""A size, and the ratio of the two times there."""


@dataclass(frozen=True)
class Crossover:
    """The ratio crosses 1 at the size ``at``, upwards where ``rises``, and the ends of its interval by low and high.

    ``left`` and ``right`` are the sizes next to it at which the ratio is surely on one side.
    """

    at: float
    low: float
    high: float
    left: float
    right: float
    rises: bool


@dataclass(frozen=True)
class Tie:
    """From one size to another, both timed, neither time is surely the shorter, and the ratio does not cross 1.

    ``within`` is the factor by which they may differ: the end farthest from 1 of all the intervals.
    """

    left: float
    right: float
    within: float


def find_crossovers(points: Sequence[Point]) -> tuple[list[Crossover], list[Tie]]:
    """Crossings and ties of a ratio timed at growing sizes; between them it goes straight in the logarithms."""
    sides = [_side(ratio) for _, ratio in points]
    sure = [index for index, side in enumerate(sides) if side]
    between = [(i, j) for i, j in pairwise(sure) if sides[i] != sides[j]]
    crossings = [_crossing(points[i : j + 1], rises=sides[j] > 0) for i, j in between]
    ties = []
    for side, run in groupby(range(len(points)), lambda index: sides[index]):
        indices = list(run)
        if side == 0 and not any(i < indices[0] < j for i, j in between):
            ties.append(_tie([points[index] for index in indices]))
    return crossings, ties


def _side(ratio: Interval) -> int:
    """1 or -1 where the ratio is surely above or below 1, else 0."""
    if ratio.low is None or ratio.high is None:
        return 0
    return (ratio.low > 1 + MARGIN) - (ratio.high < 1 / (1 + MARGIN))


def _crossing(points: Sequence[Point], rises: bool) -> Crossover:
    """The crossing between the first and the last point, which are surely on either side."""
    sizes = [size for size, _ in points]
    found = _zeros(sizes, [ratio.estimate for _, ratio in points])
    ends = [
        *_zeros(sizes, [ratio.low or ratio.estimate for _, ratio in points]),
        *_zeros(sizes, [ratio.high or ratio.estimate for _, ratio in points]),
    ]
    # Where noise makes the ratio cross 1 more than once, an odd number of times, the one in the middle stands for all.
    return Crossover(median(found), min(found + ends), max(found + ends), sizes[0], sizes[-1], rises)


def _tie(points: Sequence[Point]) -> Tie:
    ends = [end for _, ratio in points for end in (ratio.low, ratio.high) if end is not None]
    return Tie(points[0][0], points[-1][0], exp(max((abs(log(end)) for end in ends), default=inf)))


def _zeros(sizes: Sequence[float], ratios: Sequence[float]) -> list[float]:
    """Sizes at which the line through the points, straight in the logarithms, crosses 1."""
    found = []
    for (x, y), (next_x, next_y) in pairwise(zip(map(log, sizes), map(log, ratios), strict=True)):
        if (y > 0) != (next_y > 0):
            found.append(exp(x - y * (next_x - x) / (next_y - y)))
    return found
