"""The sequential test: from measured changes to PASS, FAIL or INCONCLUSIVE. Pure functions, so that it can be replayed.

A change is the logarithm of head time ÷ base time; above 0 the head is slower. Each round of fresh processes gives one
change, and the changes are assumed to be independent and normally distributed. The test is run at interim analyses,
after growing numbers of rounds. Interim analysis k spends α/2^k of the permitted error probability α. By Bonferroni's
inequality, the error probability of all interim analyses together is at most α, whatever their number. This is alpha
spending as in Lan and DeMets, Biometrika 70, 1983, with the union bound in place of the joint distribution, so that the
bound holds exactly for Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean, stdev
from typing import Literal

from pairbench.statistics import t_quantile

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]

MIN_ROUNDS = 6
"""Rounds before the first interim analysis."""
FAIL_ALPHA = 0.01
"""Error level α of FAIL: the probability, over all rows and interim analyses, that any row is suspected of a slowdown
if no row has changed. Later rounds must confirm a suspicion before it is a FAIL, so false FAILs are rarer still."""
PASS_ALPHA = 0.05
"""Probability that a row passes although its slowdown is the threshold; also the level of the confirmation test."""
POWER = 0.8
"""Probability with which the minimum detectable effect is detected."""


@dataclass(frozen=True)
class RoundChange:
    """Result of one round for a row: the logarithm of head ÷ base, and that of control ÷ base, the A/A offset."""

    change: float
    offset: float


@dataclass(frozen=True)
class Judgement:
    """The state of the test of a row. A suspicion is a first significant slowdown, which later rounds must confirm.

    ``decided``: no more rounds are needed. ``confirming_rounds``: rounds since the suspicion, None without a suspicion.
    The other fields are logarithms of time ratios: ``estimate``, ``low`` and ``high`` of the change, ``offset`` of the
    A/A offset, and ``detectable`` of the minimum detectable effect, the smallest slowdown that is suspected with
    probability ``POWER``. They are computed from the rounds after the suspicion as soon as there are two, else from the
    rounds before; None with fewer than two rounds.
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

    @property
    def is_confirming(self) -> bool:
        """Whether there is a suspicion whose confirmation has not reached its first interim analysis."""
        return self.confirming_rounds is not None and self.confirming_rounds < MIN_ROUNDS


def analysis_points() -> Iterator[int]:
    """The numbers of rounds after which an interim analysis takes place: an endless series that grows by a third."""
    rounds = MIN_ROUNDS
    while True:
        yield rounds
        rounds = math.ceil(rounds * 4 / 3)


def judge_rounds(changes: Sequence[RoundChange], threshold: float, rows: int) -> Judgement:
    """Test a row by its rounds, in the order in which they were measured.

    ``threshold``: the largest slowdown that is accepted, such as 0.05. ``rows``: number of rows that are tested
    together. FAIL needs a suspicion at an interim analysis, and its confirmation by later rounds alone.
    """
    first = _first_decision(changes, threshold, FAIL_ALPHA / rows)
    if first is None:
        return _judgement("INCONCLUSIVE", False, changes, None, threshold, FAIL_ALPHA / rows)
    verdict, used = first
    if verdict == "PASS":
        return _judgement(verdict, True, changes[:used], None, threshold, FAIL_ALPHA / rows)
    later = changes[used:]
    second = _first_decision(later, threshold, PASS_ALPHA)
    if second is None:
        # One later round gives no interval; until there are two, report the rounds that raised the suspicion.
        reported = later if len(later) > 1 else changes[:used]
        return _judgement("INCONCLUSIVE", False, reported, len(later), threshold, PASS_ALPHA, rounds=len(changes))
    verdict, confirming = second
    return _judgement(verdict, True, later[:confirming], confirming, threshold, PASS_ALPHA, rounds=used + confirming)


def _first_decision(changes: Sequence[RoundChange], threshold: float, alpha: float) -> tuple[Verdict, int] | None:
    """Verdict and number of rounds of the first interim analysis that decides; None if none has decided yet."""
    for number, rounds in enumerate(analysis_points(), 1):
        if rounds > len(changes):
            return None
        analysed = changes[:rounds]
        mean, error = _mean(analysed)
        offset = abs(fmean(change.offset for change in analysed))
        limit = math.log1p(threshold)
        # The part of the change that the A/A control shows as well is not due to the head.
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
    number = max(1, sum(1 for _ in takewhile(lambda point: point <= count, analysis_points())))
    half = _quantile(count, PASS_ALPHA / 2**number) * error
    offset = fmean(change.offset for change in changes)
    reach = max(math.log1p(threshold), _quantile(count, alpha / 2**number) * error)
    detectable = reach + abs(offset) + _quantile(count, 1 - POWER) * error
    return Judgement(verdict, decided, total, confirming_rounds, mean, mean - half, mean + half, offset, detectable)


def _mean(changes: Sequence[RoundChange]) -> tuple[float, float]:
    """Mean change and its standard error."""
    values = [change.change for change in changes]
    mean, count = fmean(values), len(values)
    # statistics.stdev computes with fractions, which takes much longer.
    return mean, math.dist(values, [mean] * count) / math.sqrt(count * (count - 1))


def _quantile(count: int, alpha: float) -> float:
    """The 1 - ``alpha`` quantile of Student's t with ``count`` - 1 degrees of freedom."""
    return t_quantile(count - 1, 1 - alpha)


MIN_SESSIONS = 10
"""Number of sessions that a baseline needs for a verdict."""


def judge_session(history: Sequence[float], now: float, threshold: float, alpha: float) -> Judgement:
    """Test whether a session's speedup lies below the prediction from earlier sessions.

    ``history`` and ``now`` are logarithms of speedups, ``threshold`` is a share. The change is the mean of
    ``history`` minus ``now``. The half-width of the prediction interval is t(k-1)·s·√(1 + 1/k) for k sessions with
    standard deviation s. ``rounds`` of the result is k. With fewer than ``MIN_SESSIONS`` sessions the verdict is
    INCONCLUSIVE.
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
    """The 95 % prediction interval for the next value of a series of at least two values."""
    half = _quantile(len(history), PASS_ALPHA / 2) * _prediction_error(history)
    return fmean(history) - half, fmean(history) + half


def outside_prediction(history: Sequence[float], now: float) -> bool:
    """Whether the next value ``now`` of a series lies outside its 95 % prediction interval."""
    low, high = prediction_interval(history)
    return not low <= now <= high


def _prediction_error(history: Sequence[float]) -> float:
    return stdev(history) * math.sqrt(1 + 1 / len(history))
