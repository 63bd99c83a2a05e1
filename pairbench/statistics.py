"""Estimates with confidence intervals from paired samples of several processes. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval; the ends are None if there was only one process."""

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
    and are not independent. The interval is Student's t interval over the processes.
    """
    values = [median(blocks) for blocks in processes if blocks]
    if not values:
        return None
    mean = fmean(values)
    if len(values) == 1:
        return Interval(math.exp(mean), None, None)
    half = t_quantile(len(values) - 1, (1 + confidence) / 2) * stdev(values) / math.sqrt(len(values))
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def unpaired_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> Interval:
    """Ratio of two quantities, each measured in processes of its own, with Welch's t interval.

    The arguments are logarithms, one per process. The ends are None if one of the two has a single process.
    """
    estimate = fmean(numerator) - fmean(denominator)
    if min(len(numerator), len(denominator)) == 1:
        return Interval(math.exp(estimate), None, None)
    errors = [stdev(values) ** 2 / len(values) for values in (numerator, denominator)]
    degrees = [len(values) - 1 for values in (numerator, denominator)]
    if not sum(errors):
        return Interval(*[math.exp(estimate)] * 3)
    # The Welch–Satterthwaite equation: https://doi.org/10.1093/biomet/34.1-2.28
    freedom = sum(errors) ** 2 / sum(error**2 / count for error, count in zip(errors, degrees, strict=True))
    half = t_quantile(freedom, (1 + CONFIDENCE) / 2) * math.sqrt(sum(errors))
    return Interval(*map(math.exp, (estimate, estimate - half, estimate + half)))


def median_seconds(processes: Sequence[Sequence[float]]) -> float | None:
    """Seconds per call: the median over processes of the median over blocks; None without samples."""
    medians = [median(blocks) for blocks in processes if blocks]
    return median(medians) if medians else None


def break_even(compile_seconds: float, reference: float, backend: float) -> int | None:
    """Number of calls after which compiling has saved its own time; None if the backend is not faster.

    ``compile_seconds``: time that compiling takes. ``reference`` and ``backend``: seconds per call.
    """
    return math.ceil(compile_seconds / (reference - backend)) if backend < reference else None
