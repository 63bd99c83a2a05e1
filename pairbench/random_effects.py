"""The random-effects model of a meta-analysis: how much an effect differs between units, such as machines.

A pure function. Each unit has an estimate of its own effect with a sampling error. The effects of the units themselves
are taken as normal, with a variance of their own.
"""

from __future__ import annotations

__all__ = ["random_effects"]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from pairbench import statistics
from pairbench.statistics import Interval


@dataclass(frozen=True)
class RandomEffects:
    """The effect on an average unit, and how the units differ.

    ``ratio`` has the exponential of the mean effect, with its confidence interval. ``between`` is the standard
    deviation of the units' effects, in the unit of the logarithms. ``share`` is the part of the variance of the units'
    estimates that the sampling errors do not explain, from 0 to 1; it is also called I².
    """

    ratio: Interval
    between: float
    share: float


def random_effects(units: Sequence[Sequence[float]], confidence: float = statistics.CONFIDENCE) -> RandomEffects | None:
    """Fit the model to the logarithms of ratios, at least two for each of two or more units; None for fewer.

    The variance between units is the estimate of DerSimonian and Laird, "Meta-analysis in clinical trials", Controlled
    Clinical Trials 7, 1986. The share is that of Higgins and Thompson, "Quantifying heterogeneity in a meta-analysis",
    Statistics in Medicine 21, 2002. The interval is that of Knapp and Hartung, "Improved tests for a random effects
    meta-regression with a single covariate", Statistics in Medicine 22, 2003, with a factor that is never below 1.
    """
    if len(units) < 2 or any(len(values) < 2 for values in units):
        return None
    means = [fmean(values) for values in units]
    errors = [variance(values) / len(values) for values in units]
    if min(errors) == 0:  # equal values, as from a coarse clock: no finite weight
        return None
    return combine(means, errors, confidence)


def combine(
    estimates: Sequence[float], variances: Sequence[float], confidence: float = statistics.CONFIDENCE
) -> RandomEffects:
    """Fit the model to estimates of two or more units, with the positive variances of their sampling errors."""
    degrees = len(estimates) - 1
    weights = [1 / value for value in variances]
    total = math.fsum(weights)
    heterogeneity = _dispersion(estimates, weights)  # Cochran's Q
    spread = total - math.fsum(weight**2 for weight in weights) / total
    between = max(0.0, (heterogeneity - degrees) / spread)
    share = max(0.0, 1 - degrees / heterogeneity) if heterogeneity else 0.0
    weights = [1 / (value + between) for value in variances]
    total = math.fsum(weights)
    mean = _mean(estimates, weights)
    factor = max(1.0, _dispersion(estimates, weights) / degrees)
    half = statistics.t_quantile(degrees, (1 + confidence) / 2) * math.sqrt(factor / total)
    try:
        ratio = Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))
    except OverflowError:
        ratio = Interval(math.exp(mean), None, None)
    return RandomEffects(ratio, math.sqrt(between), share)


def _mean(estimates: Sequence[float], weights: Sequence[float]) -> float:
    return math.fsum(map(float.__mul__, estimates, weights)) / math.fsum(weights)


def _dispersion(estimates: Sequence[float], weights: Sequence[float]) -> float:
    """The weighted sum of the squared distances from the weighted mean."""
    mean = _mean(estimates, weights)
    return math.fsum(weight * (value - mean) ** 2 for value, weight in zip(estimates, weights, strict=True))
