"""Finds processes that are slow for their whole life, and asks whether one side has more of them. Pure functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPREADS = 6
"""A slow process lies this many times further above the median of its round than processes usually lie from it."""
SHARE_ALPHA = 0.35
"""Error level of the test for more slow processes in the head. At this level, one slow process of the head and none of
base and control counts, because a PASS depends on the outcome."""
SHARE_CONFIDENCE = 0.998
"""Confidence of the upper end of the share of slow processes, at each of the analyses that can give PASS."""


@dataclass(frozen=True)
class SlowProcesses:
    """Numbers of slow processes in ``rounds`` processes of the head, and twice as many of base and control.

    ``excess``: the mean logarithm by which the head's slow processes are slower; 0 without any.
    """

    head: int
    base: int
    rounds: int
    excess: float

    @property
    def are_the_heads(self) -> bool:
        """Whether the head has significantly more slow processes (Fisher's exact test, one-sided)."""
        slow = self.head + self.base
        ways = sum(
            math.comb(self.rounds, head) * math.comb(2 * self.rounds, slow - head)
            for head in range(self.head, min(slow, self.rounds) + 1)
        )
        return ways <= SHARE_ALPHA * math.comb(3 * self.rounds, slow)

    @property
    def largest_effect(self) -> float:
        """The mean logarithm by which slow processes slow the head down, at the upper end of their share.

        The upper end of the share is that of Clopper and Pearson, Biometrika 26, 1934.
        """
        if self.head in (0, self.rounds):
            return self.excess
        from scipy.special import betaincinv  # takes 0.2 s to import, and most commands need no quantile

        return self.excess * float(betaincinv(self.head + 1, self.rounds - self.head, SHARE_CONFIDENCE))


def count_slow(contrasts: NDArray[np.float64], change: float, least: float) -> SlowProcesses:
    """Count the processes that are slower than usual for their side.

    ``contrasts``, (rounds, 3): logarithms by which the times of head, base and control exceed the mean of the other
    two. ``change``: what is usual for the head. ``least``: smallest logarithm that counts as slow.
    """
    times = contrasts * 2 / 3 - [change, 0.0, 0.0]  # relative to the mean of the round
    above = times - np.median(times, axis=1, keepdims=True)
    usual = float(np.median(np.abs(above[above != 0]))) if above.any() else 0.0
    slow = above > max(least, SPREADS * usual)
    heads = above[slow[:, 0], 0]
    excess = float(heads.mean()) if len(heads) else 0.0
    return SlowProcesses(len(heads), int(slow[:, 1:].sum()), len(contrasts), excess)
