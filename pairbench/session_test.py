"""Judges a session's speedup by those of the sessions before it. Pure functions.

All values are logarithms of speedups, so a fall is a loss. A session is compared with two levels. The *anchor* is the
mean of the first ``MIN_SESSIONS`` sessions; only an accepted gain or loss moves it, so a slow decline cannot. The
*window* is the run of sessions without a change of level that has the highest mean, so it follows a gain, and ends
where a loss begins. Sessions differ from each other by more than what differs within one. So a verdict of FAIL needs
two sessions, the present one and another, that both lie below a prediction limit. This is a prediction limit with
retesting (Davis and McNichols, Technometrics 29, 1987), which keeps the error rate of many tests over many sessions.
"""

from __future__ import annotations

__all__ = [
    "MIN_SESSIONS",
    "SHORTEST",
    "History",
    "SessionJudgement",
    "certain_gain",
    "certain_loss",
    "judge_session",
    "levels",
    "outside_prediction",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev
from typing import Literal

import numpy as np

from pairbench.change_points import segments
from pairbench.sequential_test import FAIL_ALPHA, PASS_ALPHA, POWER, Verdict
from pairbench.statistics import t_quantile

MIN_SESSIONS = 10
"""Number of sessions of an anchor, and the least of a window. A verdict needs as many."""
SESSION_ALPHA = FAIL_ALPHA / 50
"""Probability, over all rows, of any FAIL in a session if nothing has changed: 1 % in 50 sessions."""
ACCEPT_ALPHA = 0.01
"""Probability, over all rows, that any lower bound of a gain exceeds 0 if no row has become faster."""
LEAST_MOVE = 0.01
"""Lower bound, as a share, above which a gain or loss is accepted. If the noise has heavy tails, lower ones are often
chance."""
SHORTEST = 2
"""Sessions of the shortest segment. A single session is more often an outlier than a change of the level."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(128)


@dataclass(frozen=True)
class History:
    """A row's earlier sessions, in order.

    ``accepted`` is the sum of what was accepted since the first session, by which the anchor has moved. A window begins
    at position ``begin`` or later: sessions before an accepted loss say nothing on the level after it.
    """

    values: Sequence[float]
    accepted: float = 0.0
    begin: int = 0


@dataclass(frozen=True)
class Level:
    """The mean of the sessions at ``positions``, and what it predicts; for an anchor, after what was accepted.

    ``error`` is the standard error of the prediction of another session, with ``freedom`` degrees of freedom.
    """

    name: Literal["anchor", "window"]
    positions: range
    mean: float
    error: float
    freedom: int

    def half_width(self, alpha: float) -> float:
        """How far from the mean the prediction interval of one session ends; ``alpha`` is beyond each end."""
        return t_quantile(self.freedom, 1 - alpha) * self.error

    def pair_limit(self, alpha: float) -> float:
        """How far below the mean both of two sessions lie with probability ``alpha``."""
        return pair_quantile(len(self.positions), self.freedom, alpha) * self.error


@dataclass(frozen=True)
class SessionJudgement:
    """The test of a session against ``sessions`` earlier ones.

    ``suspected``: this session lies below the limit, of which FAIL needs two. ``level`` is the one that decides. The
    other figures are above 0 if the speedup fell below it: ``estimate`` with the ends ``low`` and ``high`` of the
    prediction interval, and ``detectable``, the smallest fall that is a FAIL in two sessions with probability
    ``POWER``. All are None with fewer than two sessions.
    """

    verdict: Verdict
    sessions: int
    suspected: bool = False
    level: Level | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    detectable: float | None = None


def judge_session(history: History, now: float, other: float | None, threshold: float, rows: int) -> SessionJudgement:
    """Test whether the speedup ``now`` fell below the anchor or the window of ``history``.

    ``other`` is another session, not in the history, which must confirm a fall; None if there is none. ``threshold`` is
    a share, and ``rows`` the number of rows that are tested together. FAIL needs a fall of more than the threshold that
    both sessions show, and that has a probability of SESSION_ALPHA / ``rows`` / 2 without a change. PASS needs the
    upper end of the prediction interval below the threshold. Both levels must allow a PASS. With fewer than
    MIN_SESSIONS sessions the verdict is INCONCLUSIVE.
    """
    count = len(history.values)
    if count < 2:
        return SessionJudgement("INCONCLUSIVE", count)
    later = [now] if other is None else [other, now]
    judged = [
        _judge_by_level(level, count, now, other, threshold, SESSION_ALPHA / rows / 2)
        for level in levels(history, later)
    ]
    return max(judged, key=_severity)


def _judge_by_level(
    level: Level, count: int, now: float, other: float | None, threshold: float, alpha: float
) -> SessionJudgement:
    limit = math.log1p(threshold)
    estimate, half = level.mean - now, level.half_width(PASS_ALPHA)
    reach = max(limit, level.pair_limit(alpha))
    suspected = count >= MIN_SESSIONS and estimate > reach
    verdict: Verdict = "INCONCLUSIVE"
    if suspected and other is not None and level.mean - other > reach:
        verdict = "FAIL"
    elif count >= MIN_SESSIONS and estimate + half < limit:
        verdict = "PASS"
    # Two sessions are both detected with probability POWER if each is with its root.
    detectable = reach + level.half_width(1 - math.sqrt(POWER))
    return SessionJudgement(verdict, count, suspected, level, estimate, estimate - half, estimate + half, detectable)


def _severity(judgement: SessionJudgement) -> tuple[bool, bool, bool, float]:
    assert judgement.estimate is not None
    is_fail, is_open = judgement.verdict == "FAIL", judgement.verdict == "INCONCLUSIVE"
    return is_fail, judgement.suspected, is_open, judgement.estimate


def certain_gain(history: History, now: float, other: float | None, rows: int) -> float | None:
    """The lower bound of a gain over the anchor that both sessions show; None unless it exceeds LEAST_MOVE.

    The bound is above the true gain with probability ACCEPT_ALPHA / ``rows``.
    """
    if other is None or len(history.values) < MIN_SESSIONS:
        return None
    anchor, *_ = levels(history, [other, now])
    gain = min(now, other) - anchor.mean - anchor.pair_limit(ACCEPT_ALPHA / rows)
    return gain if gain > math.log1p(LEAST_MOVE) else None


def certain_loss(history: History, now: float, other: float | None, rows: int) -> float | None:
    """How far the mean of two sessions lies below the anchor, as a value of 0 or less; None without a certain loss.

    A loss is certain if its lower bound, below the anchor or the window, exceeds LEAST_MOVE in both sessions.
    """
    if other is None or len(history.values) < MIN_SESSIONS:
        return None
    anchor, *windows = levels(history, [other, now])
    losses = [level.mean - max(now, other) - level.pair_limit(ACCEPT_ALPHA / rows / 2) for level in (anchor, *windows)]
    if max(losses) <= math.log1p(LEAST_MOVE):
        return None
    return min(0.0, fmean([now, other]) - anchor.mean)


def levels(history: History, later: Sequence[float] = ()) -> list[Level]:
    """The anchor of two sessions or more and, if there is one, the window.

    ``later`` are sessions after the history. They take part in the search for changes of the level, so that a loss
    that they continue is no part of a window, and in nothing else. The spread is that within the segments.
    """
    values, count = history.values, len(history.values)
    parts = [
        range(part.start, min(part.stop, count)) for part in segments([*values, *later], SHORTEST) if part.start < count
    ]
    means = [fmean(values[position] for position in part) for part in parts]
    squares = sum((values[position] - mean) ** 2 for part, mean in zip(parts, means, strict=True) for position in part)
    freedom = count - len(parts)
    spread = math.sqrt(squares / freedom)

    def level(name: Literal["anchor", "window"], positions: range, shift: float = 0.0) -> Level:
        mean = fmean(values[position] for position in positions) + shift
        return Level(name, positions, mean, spread * math.sqrt(1 + 1 / len(positions)), freedom)

    known = [range(max(part.start, history.begin), part.stop) for part in parts]
    windows = [level("window", part) for part in known if len(part) >= MIN_SESSIONS]
    anchor = level("anchor", range(min(count, MIN_SESSIONS)), history.accepted)
    return [anchor, *([max(windows, key=lambda window: window.mean)] if windows else [])]


@cache
def pair_quantile(sessions: int, freedom: int, alpha: float) -> float:
    """The multiple of the prediction's error that two sessions both exceed, on one side, with probability ``alpha``.

    ``sessions`` is the number of sessions of the mean, ``freedom`` that of the degrees of freedom of the spread;
    ``alpha`` is below 1/4. The deviations of the two sessions share the mean and the spread. So they have a bivariate
    t distribution, with the correlation 1/(``sessions`` + 1).
    """
    from scipy.optimize import brentq  # takes long to import

    def excess(limit: float) -> float:
        return math.log(both_exceed(limit, freedom, 1 / (sessions + 1)) / alpha)

    # One session alone exceeds its quantile with probability alpha, so two exceed it more rarely.
    return float(brentq(excess, 1e-9, t_quantile(freedom, 1 - alpha)))


def both_exceed(limit: float, freedom: int, correlation: float) -> float:
    """The probability that both parts of a bivariate t exceed ``limit``, which is above 0.

    The derivative by the correlation is elementary; the substitution correlation = sin θ makes it smooth. Source:
    Dunnett and Sobel, Biometrika 41, 1954.
    """
    low, high = -math.pi / 2, math.asin(correlation)
    angles = (high - low) / 2 * _NODES + (low + high) / 2
    density = (1 + 2 * limit**2 / (freedom * (1 + np.sin(angles)))) ** (-freedom / 2)
    return float(_WEIGHTS @ density) * (high - low) / 2 / (2 * math.pi)


def outside_prediction(history: Sequence[float], now: float) -> bool:
    """Whether the next value of a series lies outside the 95 % prediction interval of two values or more."""
    half = t_quantile(len(history) - 1, 1 - PASS_ALPHA / 2) * stdev(history) * math.sqrt(1 + 1 / len(history))
    return not abs(now - fmean(history)) <= half
