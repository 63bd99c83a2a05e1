"""Estimates with confidence intervals from paired samples of several processes. Pure functions."""

from __future__ import annotations

__all__ = [
    "CONFIDENCE",
    "Interval",
    "break_even",
    "log_ratios",
    "median_seconds",
    "ratio_interval",
    "t_quantile",
    "unpaired_ratio",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, median, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval.

    The ends are None if there was only one process, or if the interval is too wide for a floating-point number.
    """

    estimate: float
    low: float | None
    high: float | None


def t_quantile(degrees: float, probability: float) -> float:
    """The quantile of Student's t distribution with this many degrees of freedom."""
    from scipy.special import stdtrit  # takes 0.2 s to import, and most commands and processes need no quantile

    return float(stdtrit(degrees, probability))


def log_ratios(numerator: Mapping[int, float], denominator: Mapping[int, float]) -> list[float]:
    """Logarithms of the ratios, in the order of the blocks that both arguments have. Arguments: seconds by block."""
    return [math.log(numerator[block] / denominator[block]) for block in sorted(numerator.keys() & denominator.keys())]


def ratio_interval(processes: Sequence[Sequence[float]], confidence: float = CONFIDENCE) -> Interval | None:
    """Ratio and confidence interval, from the log ratios of the blocks of each process; None without log ratios.

    Each process counts once, with the median of its blocks, because the blocks of a process share its memory layout
    and are not independent. The estimate is the median over the processes, and the interval is that of ``median_ends``.
    """
    values = [median(blocks) for blocks in processes if blocks]
    if not values:
        return None
    if len(values) == 1:
        return Interval(math.exp(values[0]), None, None)
    return _of_logarithms(median(values), *median_ends(values, confidence))


def unpaired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Interval:
    """Ratio of two medians, each measured in processes of its own, with its confidence interval.

    The arguments are logarithms, one per process. The ends are None if one of the two has a single process. The
    distances from the estimate to the ends of the two intervals of ``median_ends`` are added as the sides of a right
    triangle. Source: Zou and Donner, "Construction of confidence limits about effect measures: a general approach",
    Statistics in Medicine 27, 2008.
    """
    over, under = median(numerator), median(denominator)
    if min(len(numerator), len(denominator)) == 1:
        return Interval(math.exp(over - under), None, None)
    (over_low, over_high), (under_low, under_high) = map(median_ends, (numerator, denominator))
    low = over - under - math.hypot(over - over_low, under_high - under)
    high = over - under + math.hypot(over_high - over, under - under_low)
    return _of_logarithms(over - under, low, high)


def _of_logarithms(estimate: float, low: float, high: float) -> Interval:
    try:
        return Interval(math.exp(estimate), math.exp(low), math.exp(high))
    except OverflowError:  # two processes that differ much, at a high confidence
        return Interval(math.exp(estimate), None, None)


def median_ends(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The ends of a confidence interval for the median of the distribution of two or more values.

    The interval runs from the k-th smallest to the k-th largest value; ``order_statistic`` gives k. If there are too
    few values, it is Student's t interval for the mean, extended to the smallest and the largest value. That one has
    the confidence for normal values, and covers the median of any distribution with a probability of 1 − 2^(1 − n).
    """
    ordered, count = sorted(values), len(values)
    if k := order_statistic(count, confidence):
        return ordered[k - 1], ordered[-k]
    mean, half = fmean(ordered), t_quantile(count - 1, (1 + confidence) / 2) * stdev(ordered) / math.sqrt(count)
    return min(ordered[0], mean - half), max(ordered[-1], mean + half)


@cache
def order_statistic(count: int, confidence: float) -> int:
    """The largest k for which the k-th smallest and the k-th largest of ``count`` values enclose the median.

    They enclose it with at least this confidence, whatever the distribution; 0 if not even the extremes do. They miss
    it if fewer than k values lie on one side of it, and each value lies above it with a probability of a half. Source:
    Thompson, "On confidence ranges for the median and other expectation distributions for populations of unknown
    distribution form", Annals of Mathematical Statistics 7, 1936.
    """
    k, ways = 0, 1  # ways: in which k or fewer values lie above the median
    while 2 * ways / 2**count <= 1 - confidence:
        k += 1
        ways += math.comb(count, k)
    return k


def median_seconds(processes: Sequence[Sequence[float]]) -> float | None:
    """Seconds per call: the median over processes of the median over blocks; None without samples."""
    medians = [median(blocks) for blocks in processes if blocks]
    return median(medians) if medians else None


def break_even(compile_seconds: float, reference: float, backend: float) -> int | None:
    """Number of calls after which compiling has saved its own time; None if the backend is not faster.

    ``compile_seconds``: time that compiling takes. ``reference`` and ``backend``: seconds per call.
    """
    return math.ceil(compile_seconds / (reference - backend)) if backend < reference else None
