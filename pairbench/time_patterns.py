"""Patterns in the times of functions that a median hides: a trend, two modes, an effect of what ran before."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np

from pairbench.comparison_views import seconds_text
from pairbench.function_ratios import Samples, own_seconds
from pairbench.functions import CONTROL

FEWEST = 20
"""Samples of an arm before anything is said."""
LEVEL = 0.001
"""Probability of a remark on a trend or on the order where there is none."""
EFFECT = 0.05
"""Nothing is said about smaller effects, as a share of the time."""
MODE_SHARE, SEPARATION = 0.15, 6.0
"""Two modes hold at least this share of the samples each, and lie further apart than this many standard deviations."""


def remarks(samples: Samples, arm: str) -> list[str]:
    """What is noticeable in the times of an arm in one process: sentences without a subject, such as "gets slower"."""
    return [text for text in (_trend(samples, arm), _modes(samples, arm), _order(samples, arm)) if text]


def _logarithms(samples: Samples, arm: str) -> dict[int, float]:
    return {reading.block: math.log(own_seconds(reading)) for reading in samples[arm]}


def _relative(samples: Samples, arm: str) -> dict[int, float]:
    """By block, the logarithm of the arm's time without what the other arms have in common with it."""
    others = [_logarithms(samples, other) for other in samples if other not in (arm, CONTROL) and samples[other]]
    own = _logarithms(samples, arm)
    return {
        block: value - fmean(other[block] for other in others)
        for block, value in own.items()
        if others and all(block in other for other in others)
    }


def _trend(samples: Samples, arm: str) -> str:
    """Of the arm's own time, and of its time relative to the other arms, which share the drift of the machine."""
    changes = [_change(list(values.values())) for values in (_logarithms(samples, arm), _relative(samples, arm))]
    if min(changes) > math.log1p(EFFECT):
        return f"gets slower as it goes: by {100 * math.expm1(min(changes)):.0f} % from the first block to the last"
    if max(changes) < -math.log1p(EFFECT):
        return f"gets faster as it goes: by {-100 * math.expm1(max(changes)):.0f} % from the first block to the last"
    return ""


def _change(values: Sequence[float]) -> float:
    """The change from the first value to the last by the Theil–Sen line; 0 if Kendall's test does not find a trend."""
    third = len(values) // 3
    if len(values) < FEWEST or abs(median(values[-third:]) - median(values[:third])) < math.log1p(EFFECT) / 2:
        return 0.0
    from scipy.stats import kendalltau, theilslopes  # takes half a second to import

    step = math.ceil(len(values) / 200)  # the number of slopes grows with the square of that of the values
    thinned = [median(values[start : start + step]) for start in range(0, len(values), step)]
    if kendalltau(range(len(thinned)), thinned).pvalue > LEVEL:
        return 0.0
    return float(theilslopes(thinned).slope) * (len(thinned) - 1)


def _modes(samples: Samples, arm: str) -> str:
    """Two groups of times, by the division that leaves the least variance within the groups (Otsu's method)."""
    values = sorted(_logarithms(samples, arm).values())
    if len(values) < FEWEST:
        return ""
    cut = _best_division(values, math.ceil(MODE_SHARE * len(values)))
    low, high = values[:cut], values[cut:]
    distance = fmean(high) - fmean(low)
    # Ashman's D, in which standard deviations of the inner halves keep single outliers from hiding a mode.
    spread = math.sqrt((_inner_deviation(low) ** 2 + _inner_deviation(high) ** 2) / 2)
    if distance < math.log1p(EFFECT) or distance < SEPARATION * spread:
        return ""
    return (
        f"has two modes: {100 * len(low) / len(values):.0f} % of its samples take about "
        f"{seconds_text(math.exp(median(low)))}, the others about {seconds_text(math.exp(median(high)))}"
    )


def _best_division(ordered: Sequence[float], fewest: int) -> int:
    """The size of the lower group if the variance between the groups, each of ``fewest`` values or more, is largest."""
    sums, count = np.cumsum(ordered), len(ordered)
    sizes = np.arange(fewest, count - fewest + 1)
    low, high = sums[sizes - 1] / sizes, (sums[-1] - sums[sizes - 1]) / (count - sizes)
    return int(sizes[np.argmax(sizes * (count - sizes) * (high - low) ** 2)])


def _inner_deviation(ordered: Sequence[float]) -> float:
    """The standard deviation of a normal distribution whose inner half is as wide as that of the values."""
    count = len(ordered)
    return (ordered[min(count - 1, 3 * count // 4)] - ordered[count // 4]) / 1.349


def _order(samples: Samples, arm: str) -> str:
    """Whether the time depends on which arm was timed before it in the block."""
    relative = _relative(samples, arm)
    groups: dict[str, list[float]] = defaultdict(list)
    for reading in samples[arm]:
        if reading.before and reading.block in relative:
            groups[reading.before].append(relative[reading.block])
    groups = {before: values for before, values in groups.items() if len(values) >= FEWEST // 4}
    if len(groups) < 2 or sum(map(len, groups.values())) < FEWEST:
        return ""
    medians = {before: median(values) for before, values in groups.items()}
    slow, quick = max(medians, key=medians.__getitem__), min(medians, key=medians.__getitem__)
    effect = math.expm1(medians[slow] - medians[quick])
    if effect < EFFECT:
        return ""
    from scipy.stats import kruskal  # takes half a second to import

    if kruskal(*groups.values()).pvalue > LEVEL:
        return ""
    return f"depends on the order of the calls: after {slow} it takes {100 * effect:.0f} % longer than after {quick}"
