"""The sequential test: from measured changes to PASS, FAIL or INCONCLUSIVE. Pure functions, so that it can be replayed.

A change is the logarithm of the head's time over the base's; above 0 the head is slower. Each round of fresh processes
gives one, and the rounds are taken to be independent and normal. The test is run at interim analyses, after growing
numbers of rounds. Interim analysis k spends α/2^k of the error α that is allowed. By Bonferroni's inequality all of
them together err with probability α at most, however many there are. (A spending function as in Lan and DeMets,
Biometrika 70, 1983, with the union bound in place of the joint distribution; so it holds for Student's t exactly.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean, stdev
from typing import Literal

from scipy.special import stdtrit

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]

MIN_ROUNDS = 6
"""Rounds before the first interim analysis."""
FAIL_ALPHA = 0.01
"""Family-wise error rate of a first suspicion, over all rows and interim analyses, where nothing has changed."""
PASS_ALPHA = 0.05
"""Probability that a row passes whose slowdown is the threshold. A confirmation is tested at this level, too."""
POWER = 0.8


@dataclass(frozen=True)
class RoundChange:
    """What one round says of a row: the logarithms of head ÷ base, and of control ÷ base, which is the A/A offset."""

    change: float
    offset: float


@dataclass(frozen=True)
class Judgement:
    """The state of the test of a row; all figures are logarithms.

    ``decided``: no more rounds are needed. ``confirming_rounds``: rounds since a suspicion, None where there was none.
    ``estimate``, ``low`` and ``high`` (the change), ``offset`` (the A/A offset) and ``detectable`` are those of the
    rounds since the last suspicion, None where there are fewer than two. ``detectable`` is the minimum detectable
    effect: the smallest slowdown that is suspected with probability ``POWER``.
    """

    verdict: Verdict
    decided: bool
    rounds: int
    confirming_rounds: int | None
    estimate: float | None
    low: float | None
    high: float | None
    offset: float | None
    detectable: float | None


def analysis_points() -> Iterator[int]:
    """Numbers of rounds at which there is an interim analysis, without end: each a third more than the one before."""
    rounds = MIN_ROUNDS
    while True:
        yield rounds
        rounds = math.ceil(rounds * 4 / 3)


def judge_rounds(changes: Sequence[RoundChange], threshold: float, rows: int) -> Judgement:
    """Test a row by its rounds, in the order in which they were measured.

    ``threshold``: the slowdown that is a regression, such as 0.05. ``rows``: number of rows that are tested together.
    FAIL takes a suspicion by all rounds up to an interim analysis, and its confirmation by later rounds alone.
    """
    first = _first_decision(changes, threshold, FAIL_ALPHA / rows)
    if first is None:
        return _judgement("INCONCLUSIVE", False, changes, None, threshold, FAIL_ALPHA / rows)
    verdict, used = first
    if verdict == "PASS":
        return _judgement(verdict, True, changes[:used], None, threshold, FAIL_ALPHA / rows)
    fresh = changes[used:]
    second = _first_decision(fresh, threshold, PASS_ALPHA)
    if second is None:
        # Until there are two later rounds the figures are those that gave the suspicion.
        shown = fresh if len(fresh) > 1 else changes[:used]
        return _judgement("INCONCLUSIVE", False, shown, len(fresh), threshold, PASS_ALPHA, rounds=len(changes))
    verdict, more = second
    return _judgement(verdict, True, fresh[:more], more, threshold, PASS_ALPHA, rounds=used + more)


def _first_decision(changes: Sequence[RoundChange], threshold: float, alpha: float) -> tuple[Verdict, int] | None:
    """The first interim analysis that decides for PASS or FAIL, and its number of rounds."""
    for number, rounds in enumerate(analysis_points(), 1):
        if rounds > len(changes):
            return None
        seen = changes[:rounds]
        mean, error = _mean(seen)
        offset = abs(fmean(one.offset for one in seen))
        limit = math.log1p(threshold)
        # The A/A offset is taken from the change: it is not the head's.
        if mean - offset > limit and mean - offset - _quantile(rounds, alpha / 2**number) * error > 0:
            return "FAIL", rounds
        if mean + _quantile(rounds, PASS_ALPHA / 2**number) * error < limit:
            return "PASS", rounds
    return None


def _judgement(
    verdict: Verdict,
    decided: bool,
    changes: Sequence[RoundChange],
    confirming_rounds: int | None,
    threshold: float,
    alpha: float,
    rounds: int | None = None,
) -> Judgement:
    count = len(changes)
    total = count if rounds is None else rounds
    if count < 2:
        return Judgement(verdict, decided, total, confirming_rounds, None, None, None, None, None)
    mean, error = _mean(changes)
    number = max(1, sum(1 for _ in takewhile(lambda one: one <= count, analysis_points())))
    half = _quantile(count, PASS_ALPHA / 2**number) * error
    offset = fmean(one.offset for one in changes)
    reach = max(math.log1p(threshold), _quantile(count, alpha / 2**number) * error)
    detectable = reach + abs(offset) + _quantile(count, 1 - POWER) * error
    return Judgement(verdict, decided, total, confirming_rounds, mean, mean - half, mean + half, offset, detectable)


def _mean(changes: Sequence[RoundChange]) -> tuple[float, float]:
    """Mean change and its standard error."""
    values = [one.change for one in changes]
    return fmean(values), stdev(values) / math.sqrt(len(values))


def _quantile(count: int, alpha: float) -> float:
    """The value that Student's t of ``count`` values exceeds with probability ``alpha``."""
    return float(stdtrit(count - 1, 1 - alpha))


MIN_SESSIONS = 10
"""Sessions of a baseline before its prediction interval decides."""


def judge_session(history: Sequence[float], now: float, threshold: float, alpha: float) -> Judgement:
    """Test whether a session's speedup lies below what earlier sessions predict; all are logarithms.

    ``change`` is the mean of the history minus ``now``. The prediction interval is t(k-1)·s·√(1 + 1/k) for k sessions
    with the standard deviation s. ``rounds`` of the result is k. Fewer than ``MIN_SESSIONS`` give INCONCLUSIVE.
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


def prediction_interval(history: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval that a series of two values or more predicts for the next one."""
    half = _quantile(len(history), PASS_ALPHA / 2) * _prediction_error(history)
    return fmean(history) - half, fmean(history) + half


def outside_prediction(history: Sequence[float], now: float) -> bool:
    """Whether a value lies outside the 95 % interval that a series predicts for it."""
    low, high = prediction_interval(history)
    return not low <= now <= high


def _prediction_error(history: Sequence[float]) -> float:
    return stdev(history) * math.sqrt(1 + 1 / len(history))
