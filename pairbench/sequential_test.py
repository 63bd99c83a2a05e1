"""The rule: from the changes that were measured to PASS, FAIL or INCONCLUSIVE. Pure, so that it can be replayed.

A change is the logarithm of a time over another; above 0 is slower. One comes from each set of fresh processes, and
the sets are taken for independent and normal. After some numbers of sets the rule looks at all of them. Look k has
α/2^k of the error that is allowed: by Bonferroni's inequality all looks together err with α at most, however many
there are. (A spending function as in Lan and DeMets, Biometrika 70, 1983, with the union bound in place of the joint
distribution; so it holds for Student's t without approximation.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean, stdev

from scipy.special import stdtrit

from bench.records.gate_schema import Verdict

MIN_ROUNDS = 6
"""Sets before the first look."""
FAIL_ALPHA = 0.01
"""Chance of any false suspicion among all rows."""
PASS_ALPHA = 0.05
"""Chance that a row passes that is slower by the threshold; the same serves for a confirmation."""
POWER = 0.8


@dataclass(frozen=True)
class RoundChange:
    """What one set of processes says of a row: logarithms of head ÷ base, and of base again ÷ base."""

    change: float
    offset: float


@dataclass(frozen=True)
class Judgement:
    """What the rule makes of a row so far, in logarithms.

    ``decided``: no more sets are wanted. ``confirming``: sets that followed a suspicion, None before any. The figures
    are those of the sets since the last suspicion, None where there are fewer than two. ``detectable`` is the smallest
    slowdown that is suspected with the chance ``POWER``.
    """

    verdict: Verdict
    decided: bool
    sets: int
    confirming: int | None
    estimate: float | None
    low: float | None
    high: float | None
    offset: float | None
    detectable: float | None


def analysis_points() -> Iterator[int]:
    """Numbers of sets at which the rule looks, without end: each a third more than the one before."""
    sets = MIN_ROUNDS
    while True:
        yield sets
        sets = math.ceil(sets * 4 / 3)


def judge_rounds(pairs: Sequence[RoundChange], threshold: float, rows: int) -> Judgement:
    """Judge a row by its sets, in the order in which they were measured.

    ``threshold`` is the slowdown that is a regression, such as 0.05; ``rows`` are judged beside each other. FAIL is
    a suspicion that all sets before a look gave, and that the sets after it give again by themselves.
    """
    first = _first_decision(pairs, threshold, FAIL_ALPHA / rows)
    if first is None:
        return _judgement("INCONCLUSIVE", False, pairs, None, threshold, FAIL_ALPHA / rows)
    verdict, used = first
    if verdict == "PASS":
        return _judgement(verdict, True, pairs[:used], None, threshold, FAIL_ALPHA / rows)
    fresh = pairs[used:]
    second = _first_decision(fresh, threshold, PASS_ALPHA)
    if second is None:
        # Until there are two fresh sets the figures are those that gave the suspicion.
        shown = fresh if len(fresh) > 1 else pairs[:used]
        return _judgement("INCONCLUSIVE", False, shown, len(fresh), threshold, PASS_ALPHA, sets=len(pairs))
    verdict, more = second
    return _judgement(verdict, True, fresh[:more], more, threshold, PASS_ALPHA, sets=used + more)


def _first_decision(pairs: Sequence[RoundChange], threshold: float, alpha: float) -> tuple[Verdict, int] | None:
    """The first look that finds for PASS or FAIL, and its number of sets."""
    for number, sets in enumerate(analysis_points(), 1):
        if sets > len(pairs):
            return None
        seen = pairs[:sets]
        mean, error = _mean(seen)
        offset = abs(fmean(pair.offset for pair in seen))
        limit = math.log1p(threshold)
        # What two checkouts of the same revision differ by is no change.
        if mean - offset > limit and mean - offset - _quantile(sets, alpha / 2**number) * error > 0:
            return "FAIL", sets
        if mean + _quantile(sets, PASS_ALPHA / 2**number) * error < limit:
            return "PASS", sets
    return None


def _judgement(
    verdict: Verdict,
    decided: bool,
    pairs: Sequence[RoundChange],
    confirming: int | None,
    threshold: float,
    alpha: float,
    sets: int | None = None,
) -> Judgement:
    count = len(pairs)
    total = count if sets is None else sets
    if count < 2:
        return Judgement(verdict, decided, total, confirming, None, None, None, None, None)
    mean, error = _mean(pairs)
    number = max(1, sum(1 for _ in takewhile(lambda one: one <= count, analysis_points())))
    half = _quantile(count, PASS_ALPHA / 2**number) * error
    offset = fmean(pair.offset for pair in pairs)
    reach = max(math.log1p(threshold), _quantile(count, alpha / 2**number) * error)
    detectable = reach + abs(offset) + _quantile(count, 1 - POWER) * error
    return Judgement(verdict, decided, total, confirming, mean, mean - half, mean + half, offset, detectable)


def _mean(pairs: Sequence[RoundChange]) -> tuple[float, float]:
    """Mean change and its standard error."""
    changes = [pair.change for pair in pairs]
    return fmean(changes), stdev(changes) / math.sqrt(len(changes))


def _quantile(count: int, alpha: float) -> float:
    """Student's t that ``count`` values exceed with the chance ``alpha``."""
    return float(stdtrit(count - 1, 1 - alpha))


MIN_SESSIONS = 10
"""Sessions of a baseline before its prediction interval decides."""


def judge_session(history: Sequence[float], now: float, threshold: float, alpha: float) -> Judgement:
    """Judge one more value of a series of logarithms of speedups, by the interval that the series predicts for it.

    The interval is t(k-1)·s·√(1 + 1/k), k values with the standard deviation s. What is judged is how far the new value
    lies below their mean.
    """
    count = len(history)
    if count < 2:
        return Judgement("INCONCLUSIVE", False, count, None, None, None, None, None, None)
    change, error = fmean(history) - now, _prediction_error(history)
    limit = math.log1p(threshold)
    half = _quantile(count, PASS_ALPHA) * error
    reach = max(limit, _quantile(count, alpha) * error)
    detectable = reach + _quantile(count, 1 - POWER) * error
    verdict: Verdict = "INCONCLUSIVE"
    if count >= MIN_SESSIONS:
        if change > limit and change > _quantile(count, alpha) * error:
            verdict = "FAIL"
        elif change + half < limit:
            verdict = "PASS"
    decided = verdict != "INCONCLUSIVE"
    return Judgement(verdict, decided, count, None, change, change - half, change + half, None, detectable)


def outside_prediction(history: Sequence[float], now: float) -> bool:
    """Whether a value lies outside the 95 % interval that a series predicts for it."""
    return abs(now - fmean(history)) > _quantile(len(history), PASS_ALPHA / 2) * _prediction_error(history)


def _prediction_error(history: Sequence[float]) -> float:
    return stdev(history) * math.sqrt(1 + 1 / len(history))
