"""Tests a session's speedup against those of earlier sessions, by a prediction interval. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pairbench.sequential_test import PASS_ALPHA, POWER, Verdict, quantile

MIN_SESSIONS = 10
"""Number of sessions that a baseline needs for a verdict."""


@dataclass(frozen=True)
class SessionJudgement:
    """The test of a session against ``sessions`` earlier ones.

    The figures are logarithms of speedup ratios, above 0 if the speedup fell: ``estimate`` with the ends ``low`` and
    ``high`` of the prediction interval, and ``detectable``, the smallest fall that is a FAIL with probability
    ``POWER``. They are None with fewer than two sessions.
    """

    verdict: Verdict
    sessions: int
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None


def judge_session(history: Sequence[float], now: float, threshold: float, alpha: float) -> SessionJudgement:
    """Test whether a session's speedup lies below the prediction from earlier sessions.

    ``history`` and ``now`` are logarithms of speedups, ``threshold`` is a share. The change is the mean of
    ``history`` minus ``now``. The half-width of the prediction interval is t(k-1)·s·√(1 + 1/k) for k sessions with
    standard deviation s. With fewer than ``MIN_SESSIONS`` sessions the verdict is INCONCLUSIVE.
    """
    count = len(history)
    if count < 2:
        return SessionJudgement("INCONCLUSIVE", count)
    change, error = fmean(history) - now, _prediction_error(history)
    limit = math.log1p(threshold)
    half = quantile(count, PASS_ALPHA) * error
    reach = max(limit, quantile(count, alpha) * error)
    detectable = reach + quantile(count, 1 - POWER) * error
    verdict: Verdict = "INCONCLUSIVE"
    if count >= MIN_SESSIONS:
        if change > limit and change > quantile(count, alpha) * error:
            verdict = "FAIL"
        elif change + half < limit:
            verdict = "PASS"
    return SessionJudgement(verdict, count, change, change - half, change + half, detectable)


def prediction_interval(history: Sequence[float]) -> tuple[float, float]:
    """The 95 % prediction interval for the next value of a series of at least two values."""
    half = quantile(len(history), PASS_ALPHA / 2) * _prediction_error(history)
    return fmean(history) - half, fmean(history) + half


def outside_prediction(history: Sequence[float], now: float) -> bool:
    """Whether the next value ``now`` of a series lies outside its 95 % prediction interval."""
    low, high = prediction_interval(history)
    return not low <= now <= high


def _prediction_error(history: Sequence[float]) -> float:
    return stdev(history) * math.sqrt(1 + 1 / len(history))
