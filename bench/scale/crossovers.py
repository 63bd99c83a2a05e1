"""Crossovers: the sizes at which the ratio of two times crosses 1. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, inf, log
from statistics import median

from pairbench.statistics import Interval

MARGIN = 0.02
"""Times count as equal if they may differ by at most this share. The A/A control, one backend against itself, differs
by up to about as much, so smaller differences cannot be resolved."""

CONFIDENCE = 0.99
"""Confidence level of the intervals. Two backends have dozens of points, so 95 % would give false crossovers."""

Point = tuple[float, Interval]
"""A size, and the ratio of the two times at this size."""


@dataclass(frozen=True)
class Crossover:
    """A crossover: the ratio crosses 1 at the size ``at``, from below 1 to above 1 if ``rises``.

    The ratio and the ends of its interval cross 1 between the sizes ``low`` and ``high``. ``left`` and ``right`` are
    the nearest measured sizes at which the whole interval is on one side of 1.
    """

    at: float
    low: float
    high: float
    left: float
    right: float
    rises: bool


@dataclass(frozen=True)
class Tie:
    """A range of sizes, from ``left`` to ``right``, in which neither time is certainly shorter and no crossover lies.

    ``within`` is the largest factor by which the times may differ: the end of an interval that is farthest from 1.
    """

    left: float
    right: float
    within: float


def find_crossovers(points: Sequence[Point]) -> tuple[list[Crossover], list[Tie]]:
    """Return the crossovers and the ties of a ratio that was measured at growing sizes.

    Between two sizes, the ratio is interpolated linearly in the logarithms of size and ratio.
    """
    sides = [_side(ratio) for _, ratio in points]
    decided = [index for index, side in enumerate(sides) if side]
    changes = [(i, j) for i, j in pairwise(decided) if sides[i] != sides[j]]
    crossovers = [_crossover(points[i : j + 1], rises=sides[j] > 0) for i, j in changes]
    ties = []
    for side, run in groupby(range(len(points)), lambda index: sides[index]):
        indices = list(run)
        if side == 0 and not any(i < indices[0] < j for i, j in changes):
            ties.append(_tie([points[index] for index in indices]))
    return crossovers, ties


def _side(ratio: Interval) -> int:
    """1 or -1 if the interval of the ratio is above or below 1 by more than MARGIN, else 0."""
    if ratio.low is None or ratio.high is None:
        return 0
    return (ratio.low > 1 + MARGIN) - (ratio.high < 1 / (1 + MARGIN))


def _crossover(points: Sequence[Point], rises: bool) -> Crossover:
    """The crossover between the first and the last point, whose ratios are on different sides of 1."""
    sizes = [size for size, _ in points]
    places = _zeros(sizes, [ratio.estimate for _, ratio in points])
    ends = [
        *_zeros(sizes, [ratio.low or ratio.estimate for _, ratio in points]),
        *_zeros(sizes, [ratio.high or ratio.estimate for _, ratio in points]),
    ]
    # Noise may make the ratio cross 1 several times; the number of times is odd, and the middle one is reported.
    return Crossover(median(places), min(places + ends), max(places + ends), sizes[0], sizes[-1], rises)


def _tie(points: Sequence[Point]) -> Tie:
    ends = [end for _, ratio in points for end in (ratio.low, ratio.high) if end is not None]
    return Tie(points[0][0], points[-1][0], exp(max((abs(log(end)) for end in ends), default=inf)))


def _zeros(sizes: Sequence[float], ratios: Sequence[float]) -> list[float]:
    """The sizes at which the ratio, interpolated linearly in the logarithms, crosses 1."""
    crossing_sizes = []
    for (x, y), (next_x, next_y) in pairwise(zip(map(log, sizes), map(log, ratios), strict=True)):
        if (y > 0) != (next_y > 0):
            crossing_sizes.append(exp(x - y * (next_x - x) / (next_y - y)))
    return crossing_sizes
