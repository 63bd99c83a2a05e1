"""Crossovers: neighbouring sizes at which different backends are faster. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import exp, inf, log

from pairbench.statistics import Interval

MARGIN = 0.02
"""Times count as equal if they may differ by at most this share. The A/A control, one backend against itself, differs
by up to about as much, so smaller differences cannot be resolved."""

CONFIDENCE = 0.99
"""Confidence level of the intervals. Two backends have dozens of points, so 95 % would give false crossovers."""

Point = tuple[int, Interval]
"""A size, and the ratio of the two times at this size."""


@dataclass(frozen=True)
class Crossover:
    """Two sizes between which a ratio crosses 1, from below 1 to above 1 if ``rises``.

    At ``left`` and at ``right`` the ratio is certainly on one side of 1, and no two timed sizes closer to each other
    show the same. ``undecided`` are the timed sizes between them, at which the ratio is certainly on neither side.
    """

    left: int
    right: int
    undecided: tuple[int, ...]
    rises: bool

    def next_size(self) -> int | None:
        """The size whose time can narrow the crossover most; None if no untimed size can narrow it.

        It is the middle of the gap beside ``left`` or of the gap beside ``right``, whichever is wider. Without
        undecided sizes both are the same gap, and this is a step of bisection.
        """
        sizes = (self.left, *self.undecided, self.right)
        below, above = max((sizes[:2], sizes[-2:]), key=lambda gap: gap[1] - gap[0])
        return (below + above) // 2 if above - below > 1 else None


@dataclass(frozen=True)
class Tie:
    """A range of sizes, from ``left`` to ``right``, in which neither time is certainly shorter and no crossover lies.

    ``within`` is the largest factor by which the times may differ: the end of an interval that is farthest from 1.
    """

    left: int
    right: int
    within: float


def find_crossovers(points: Sequence[Point]) -> tuple[list[Crossover], list[Tie]]:
    """Return the crossovers and the ties of a ratio that was measured at growing sizes."""
    sizes = [size for size, _ in points]
    sides = [_side(ratio) for _, ratio in points]
    decided = [index for index, side in enumerate(sides) if side]
    changes = [(i, j) for i, j in pairwise(decided) if sides[i] != sides[j]]
    crossovers = [Crossover(sizes[i], sizes[j], tuple(sizes[i + 1 : j]), rises=sides[j] > 0) for i, j in changes]
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


def _tie(points: Sequence[Point]) -> Tie:
    ends = [end for _, ratio in points for end in (ratio.low, ratio.high) if end is not None]
    return Tie(points[0][0], points[-1][0], exp(max((abs(log(end)) for end in ends), default=inf)))
