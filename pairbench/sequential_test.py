"""The sequential test: from measured changes to PASS, FAIL or INCONCLUSIVE. Pure functions, so that it can be replayed.

A change is the logarithm of head time ÷ base time; above 0 the head is slower. Each round of fresh processes gives one
change, and the changes are assumed to be independent. The test is run at interim analyses, after growing numbers of
rounds. Interim analysis k spends α/(k(k + 1)) of the permitted error probability α. These shares add up to α, so by
Bonferroni's inequality the error probability of all interim analyses together is at most α, whatever their number. This
is alpha spending as in Lan and DeMets, Biometrika 70, 1983, with the union bound in place of the joint distribution.

FAIL and PASS use different statistics. A few processes are slow for their whole life, in every program. FAIL uses a
permutation test and a trimmed mean, on which they have little influence. PASS uses the plain mean, because slow
processes that only the head has are a slowdown, too.
"""

from __future__ import annotations

__all__ = [
    "CONFIRMATION_ALPHA",
    "FAIL_ALPHA",
    "MIN_ROUNDS",
    "PASS_ALPHA",
    "PASS_ROUNDS",
    "Estimate",
    "Judgement",
    "RoundChange",
    "Verdict",
    "analysis_points",
    "judge_rounds",
]

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count as count_from
from itertools import takewhile
from statistics import fmean
from typing import Literal, NamedTuple

import numpy as np

from pairbench import slow_processes
from pairbench.permutation_test import p_value
from pairbench.slow_processes import SlowProcesses
from pairbench.statistics import t_quantile

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]

MIN_ROUNDS = 6
"""Rounds before the first interim analysis."""
PASS_ROUNDS = 19
"""Rounds before the first PASS. If 15 % of the head's processes are slow, one of 19 is with a probability of 95 %."""
FAIL_ALPHA = 0.01
"""Probability, over all rows and interim analyses, of any FAIL if no row has changed. It is the product of the levels
of the suspicion and of the confirmation, which use different rounds."""
CONFIRMATION_ALPHA = 0.05
"""Error level of the confirmation of a row."""
PASS_ALPHA = 0.05
"""Probability that a row passes although its slowdown is the threshold. The rounds before and after a suspicion each
give a chance to PASS, and each spends half."""
OFFSET_ALPHA = 0.01
"""Probability, over all rows, that any two checkouts of the base are said to differ if they do not."""
POWER = 0.8
"""Probability with which the minimum detectable effect is detected."""
TRIMMED = 0.2
"""Share of the smallest and of the largest changes that the trimmed mean leaves out."""


@dataclass(frozen=True)
class RoundChange:
    """Result of one round for a row: logarithms of head ÷ base, head ÷ control and control ÷ base."""

    to_base: float
    to_control: float
    offset: float

    @property
    def change(self) -> float:
        """The logarithm of head ÷ base. The control runs the base, too, so the head is compared with both."""
        return (self.to_base + self.to_control) / 2

    @property
    def contrasts(self) -> tuple[float, float, float]:
        """By how much the times of head, base and control exceed the mean of the other two."""
        return self.change, -(self.to_base + self.offset) / 2, (self.offset - self.to_control) / 2


class Estimate(NamedTuple):
    """A mean with the ends of its confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """The state of the test of a row. A suspicion is a first significant slowdown, which later rounds must confirm.

    ``decided``: no more rounds are needed. ``confirming_rounds``: rounds since the suspicion, None without a suspicion.
    The others are logarithms of time ratios: ``change``, with the interval that decides on PASS; ``typical``, the
    trimmed mean change, which decides on FAIL; ``offset`` of control ÷ base; and ``detectable``, the minimum detectable
    effect, the smallest slowdown for which a gate of as many rounds gives FAIL with probability ``POWER``. The change,
    ``typical`` and the slow processes are those of the rounds after the suspicion as soon as there are two, else of the
    rounds before. All are None with fewer than two rounds.
    """

    verdict: Verdict
    decided: bool
    rounds: int
    confirming_rounds: int | None
    change: Estimate | None = None
    typical: float | None = None
    offset: Estimate | None = None
    detectable: float | None = None
    slow: SlowProcesses | None = None

    @property
    def is_confirming(self) -> bool:
        """Whether there is a suspicion whose confirmation has not reached its first interim analysis."""
        return self.confirming_rounds is not None and self.confirming_rounds < MIN_ROUNDS

    @property
    def checkouts_differ(self) -> bool:
        """Whether two checkouts of the base differ significantly, so that no difference can be put down to the head."""
        return self.offset is not None and not self.offset.low <= 0 <= self.offset.high


def analysis_points(first: int | None = None) -> Iterator[int]:
    """The numbers of rounds after which an interim analysis takes place: an endless series that grows by a third.

    It begins with ``first``, by default ``MIN_ROUNDS``; then ``PASS_ROUNDS`` is one of them.
    """
    first = MIN_ROUNDS if first is None else first
    return (round(first * (4 / 3) ** number) for number in count_from())


def judge_rounds(changes: Sequence[RoundChange], threshold: float, rows: int) -> Judgement:
    """Test a row by its rounds, in the order in which they were measured.

    ``threshold``: the largest slowdown that is accepted, such as 0.05. ``rows``: number of rows that are tested
    together. FAIL needs a suspicion at an interim analysis, and its confirmation by later rounds alone.
    """
    first = _first_decision(changes, threshold, FAIL_ALPHA / CONFIRMATION_ALPHA / rows)
    if first is None:
        return _judgement("INCONCLUSIVE", changes, changes, None, threshold, rows)
    verdict, used = first
    if verdict == "PASS":
        return _judgement(verdict, changes[:used], changes[:used], None, threshold, rows)
    later = changes[used:]
    second = _first_decision(later, threshold, CONFIRMATION_ALPHA)
    if second is None:
        # One later round gives no interval; until there are two, report the rounds that raised the suspicion.
        reported = later if len(later) > 1 else changes[:used]
        return _judgement("INCONCLUSIVE", changes, reported, len(later), threshold, rows)
    verdict, confirming = second
    return _judgement(verdict, changes[: used + confirming], later[:confirming], confirming, threshold, rows)


def _first_decision(changes: Sequence[RoundChange], threshold: float, fail_alpha: float) -> tuple[Verdict, int] | None:
    """Verdict and number of rounds of the first interim analysis that decides; None if none has decided yet."""
    pass_number = 0
    for number, rounds in enumerate(analysis_points(), 1):
        if rounds > len(changes):
            return None
        analysed = changes[:rounds]
        if _is_slower(analysed, threshold, fail_alpha / (number * (number + 1))):
            return "FAIL", rounds
        if rounds >= PASS_ROUNDS:
            pass_number += 1
            if _is_not_slower(analysed, threshold, pass_number):
                return "PASS", rounds
    return None


def _is_slower(changes: Sequence[RoundChange], threshold: float, alpha: float) -> bool:
    """Whether the typical change exceeds the threshold, and the head is significantly slower than the base."""
    if _trimmed_mean([change.change for change in changes])[0] <= math.log1p(threshold):
        return False
    return p_value(np.array([change.contrasts for change in changes])) <= alpha


def _is_not_slower(changes: Sequence[RoundChange], threshold: float, number: int) -> bool:
    """Whether the mean slowdown is below the threshold at the ``number``-th analysis, slow processes included."""
    limit = math.log1p(threshold)
    values = [change.change for change in changes]
    if _interval(values, _pass_alpha(number)).high >= limit:
        return False
    typical, _ = _trimmed_mean(values)
    slow = _slow_processes(changes, typical, threshold)
    return not (slow.are_the_heads and typical + slow.largest_effect >= limit)


def _pass_alpha(number: int) -> float:
    """What the ``number``-th analysis that can give PASS spends, in the rounds before or after a suspicion."""
    return PASS_ALPHA / 2 / (number * (number + 1))


def _slow_processes(changes: Sequence[RoundChange], typical: float, threshold: float) -> SlowProcesses:
    contrasts = np.array([change.contrasts for change in changes])
    return slow_processes.count_slow(contrasts, typical, math.log1p(threshold))


def _judgement(
    verdict: Verdict,
    changes: Sequence[RoundChange],
    reported: Sequence[RoundChange],
    confirming_rounds: int | None,
    threshold: float,
    rows: int,
) -> Judgement:
    """The judgement after the rounds ``changes``, with the figures of the rounds ``reported``."""
    decided = verdict != "INCONCLUSIVE"
    if len(reported) < 2:
        return Judgement(verdict, decided, len(changes), confirming_rounds)
    values = [change.change for change in reported]
    points = takewhile(lambda point: point <= len(reported), analysis_points())
    number = max(1, sum(point >= PASS_ROUNDS for point in points))
    typical, _ = _trimmed_mean(values)
    offset = _interval([change.offset for change in changes], OFFSET_ALPHA / rows / 2)
    judgement = Judgement(
        verdict,
        decided,
        len(changes),
        confirming_rounds,
        change=_interval(values, _pass_alpha(number)),
        typical=typical,
        offset=offset,
        detectable=_detectable([change.change for change in changes], threshold, rows),
        slow=_slow_processes(reported, typical, threshold),
    )
    return replace(judgement, verdict="INCONCLUSIVE") if judgement.checkouts_differ else judgement


def _detectable(changes: Sequence[float], threshold: float, rows: int) -> float:
    """The smallest slowdown that both the suspicion and the confirmation detect, with half of the rounds each.

    The permutation test is about as powerful as the t test, whose quantile stands in for it here.
    """
    count = len(changes)
    half = max(2, count // 2)
    error = _trimmed_mean(changes)[1] * math.sqrt(count / half)
    reach = quantile(count, FAIL_ALPHA / CONFIRMATION_ALPHA / rows / 2) * error
    return max(math.log1p(threshold), reach) + quantile(count, 1 - math.sqrt(POWER)) * error


def _interval(values: Sequence[float], alpha: float) -> Estimate:
    """Mean and Student's t interval, with the probability ``alpha`` beyond each end."""
    mean, count = fmean(values), len(values)
    # statistics.stdev computes with fractions, which takes much longer.
    half = quantile(count, alpha) * math.dist(values, [mean] * count) / math.sqrt(count * (count - 1))
    return Estimate(mean, mean - half, mean + half)


def _trimmed_mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean without the ``TRIMMED`` smallest and largest values, and its standard error.

    The error is that of Tukey and McLaughlin, Sankhyā A 25, 1963: the standard deviation of the winsorized values,
    divided by the share of values that remain and the root of their number.
    """
    count = len(values)
    cut = int(TRIMMED * count)
    kept = sorted(values)[cut : count - cut]
    winsorized = [*[kept[0]] * cut, *kept, *[kept[-1]] * cut]
    squares = math.dist(winsorized, [fmean(winsorized)] * count) ** 2
    return fmean(kept), math.sqrt(squares / (count - 1) / count) / (1 - 2 * TRIMMED)


def quantile(count: int, alpha: float) -> float:
    """The 1 - ``alpha`` quantile of Student's t with ``count`` - 1 degrees of freedom."""
    return t_quantile(count - 1, 1 - alpha)
