"""Where the level of a series changes: penalized least squares, solved exactly. Pure functions.

The segments minimize the sum of squared distances to the mean of each segment, in units of the noise's variance, plus
a penalty for each change. This is the criterion of PELT (Killick, Fearnhead and Eckley, Journal of the American
Statistical Association 107, 2012). The search is the one that PELT shortens, optimal partitioning (Jackson et al., IEEE
Signal Processing Letters 12, 2005), which is quick enough for thousands of values.
"""

from __future__ import annotations

__all__ = ["segments"]

import math
from collections.abc import Sequence

import numpy as np

PENALTY = 9.0
"""Penalty of a change, in units of the logarithm of the number of values. Three times the 3 of the modified BIC (Zhang
and Siegmund, Biometrics 63, 2007): few values say little about the noise, and neighbours may be correlated."""


def segments(values: Sequence[float], least: int) -> list[range]:
    """The positions of the values between two changes, in order; a segment has ``least`` values or more.

    There is one segment if there are fewer than 2 × ``least`` values, and none without values. The spread of the noise
    is the mean difference between neighbours × √π / 2, as for normal noise. Changes of the level hardly matter to it.
    """
    count = len(values)
    if count < 2 * least:
        return [range(count)] if count else []
    data = np.array(values, dtype=float)
    spread = float(np.abs(np.diff(data)).mean()) * math.sqrt(math.pi) / 2
    if spread == 0:
        return [range(count)]
    sums = np.concatenate([[0.0], np.cumsum((data - data.mean()) / spread)])
    lengths = np.arange(count, 0, -1)  # of the segments from each start to the end of the series
    penalty = PENALTY * math.log(count)
    # The cost of the best segments up to each end, less the sum of all squares, which is the same for all segments.
    costs, starts = np.zeros(count + 1), np.zeros(count + 1, dtype=int)
    costs[0], costs[1:least] = -penalty, math.inf
    for end in range(least, count + 1):
        last = end - least + 1
        totals = costs[:last] - (sums[end] - sums[:last]) ** 2 / lengths[count - end :][:last]
        starts[end] = totals.argmin()
        costs[end] = totals[starts[end]] + penalty
    found, end = [], count
    while end:
        found.append(range(int(starts[end]), end))
        end = int(starts[end])
    return found[::-1]
