"""An exact permutation test of whether one process of each round takes more time than the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLIP = 2.5
"""Contrasts are limited to this many times their median size, so that no single slow process decides."""
STEPS = 64
"""Number of steps from 0 to the limit. Sums of whole steps take few values, so their distribution is exact."""


def p_value(contrasts: NDArray[np.float64]) -> float:
    """The probability of a sum of the first column as large as the measured one, if the columns were exchangeable.

    ``contrasts``, (rounds, processes): by how much the time of each process exceeds the mean of the others of its
    round. Under the null hypothesis, each process of a round is equally likely to be the first. The test is exact for
    every distribution of the times. The limit depends on the sizes of all contrasts alone, which no permutation of a
    round's processes changes. Source: Fisher, The Design of Experiments, 1935, section 21.
    """
    sizes = np.abs(contrasts)
    limit = CLIP * np.median(sizes) or sizes.max()
    if limit == 0:
        return 1.0
    steps = np.rint(np.clip(contrasts / limit, -1, 1) * STEPS).astype(int)
    distribution = np.ones(1)  # of the sum so far; its middle is the probability of 0
    for row in steps:
        longer = np.zeros(len(distribution) + 2 * STEPS)
        for step in row:
            longer[STEPS + step :][: len(distribution)] += distribution / len(row)
        distribution = longer
    return float(min(1.0, distribution[STEPS * len(steps) + steps[:, 0].sum() :].sum()))
