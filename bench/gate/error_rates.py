"""How often a rule errs: the gate's and those in use elsewhere, over disjoint runs drawn from a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, mannwhitneyu

from bench.gate.comparison import round_change
from bench.gate.recording import ARMS, PLANTED, Recording, delayed_arm
from pairbench import sequential_test
from pairbench.rounds import SIDES
from pairbench.sequential_test import RoundChange, Verdict

HEAD, BASE, CONTROL = 0, 1, 2
CONFIDENCE = 0.95
THRESHOLDS = (0.05, 0.03)
ROWS = 24
"""Rows of a default gate: eight core backends at three cases, which share the error that is allowed."""
VERDICTS: tuple[Verdict, ...] = ("FAIL", "PASS", "INCONCLUSIVE")

Rule = Callable[[NDArray[np.float32], int], Iterator[Verdict]]
"""From times (rounds, arms, blocks) and the place of the arm that is the head: the verdicts of disjoint runs."""


@dataclass(frozen=True)
class ErrorRate:
    """How many of ``runs`` gave a verdict; the interval of the share is that of Clopper and Pearson, 1934."""

    count: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True)
class RuleScore:
    """A rule's verdicts on the runs in which the head was planted with a delay, 0 for none.

    ``measured`` is the part of a call that the delay took in the recording.
    """

    rule: str
    planted: float
    measured: float
    rates: dict[Verdict, ErrorRate]


def gate_rule(threshold: float, rows: int, budget: float, round_seconds: float) -> Rule:
    """The gate's sequential test of one of so many rows, within a budget of measuring."""
    most = max(sequential_test.MIN_ROUNDS, int(budget / round_seconds))

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        changes = _changes(seconds, head)
        begin = 0
        while begin + sequential_test.MIN_ROUNDS <= len(changes):
            run, verdict = _run(changes[begin:], threshold, rows, most)
            if verdict is None:  # the recording ended first
                return
            yield verdict
            begin += run

    return verdicts


def point_estimate_rule(statistic: Callable[[NDArray[np.float32]], float], limit: float) -> Rule:
    """One process of each side, whose point estimates are compared, as ``pytest-benchmark compare --fail`` does."""

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        for one in seconds:
            yield "FAIL" if statistic(one[head]) > (1 + limit) * statistic(one[BASE]) else "PASS"

    return verdicts


def mann_whitney_rule(factor: float, level: float, processes: int) -> Rule:
    """The samples of some processes pooled, as asv does: medians that differ by a factor, and a U test that is sure."""

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        for begin in range(0, len(seconds) - processes + 1, processes):
            ours, theirs = (seconds[begin : begin + processes, arm].ravel() for arm in (head, BASE))
            slower = float(np.median(ours)) > factor * float(np.median(theirs))
            yield "FAIL" if slower and mannwhitneyu(ours, theirs).pvalue < level else "PASS"

    return verdicts


ELSEWHERE: dict[str, Rule] = {
    "pytest-benchmark mean:10%": point_estimate_rule(lambda times: float(times.mean()), 0.10),
    "pytest-benchmark min:5%": point_estimate_rule(lambda times: float(times.min()), 0.05),
    "asv Mann-Whitney, 1.1": mann_whitney_rule(1.1, 0.002, 2),
}


def score_rules(recording: Recording, budget: float) -> list[RuleScore]:
    """Every rule on every planted delay."""
    each = recording.wall_seconds / len(recording.seconds)
    rules = {
        f"gate, {threshold:.0%}, {'1 row' if rows == 1 else f'of {rows} rows'}": gate_rule(
            threshold, rows, budget, each
        )
        for threshold in THRESHOLDS
        for rows in (1, ROWS)
    }
    delayed = [ARMS.index(delayed_arm(planted)) for planted in PLANTED]
    heads = {HEAD: 0.0, **dict(zip(delayed, PLANTED, strict=True))}
    measured = {head: _measured(recording.seconds, head) for head in heads}
    return [
        RuleScore(name, planted, measured[head], verdict_rates(list(verdicts(recording.seconds, head))))
        for name, verdicts in {**rules, **ELSEWHERE}.items()
        for head, planted in heads.items()
    ]


def _measured(seconds: NDArray[np.float32], head: int) -> float:
    """The part of a call that an arm's delay takes: medians over blocks, mean over rounds."""
    logarithms = np.log(seconds.astype(float))
    return float(np.expm1(np.median(logarithms[:, head] - logarithms[:, HEAD], axis=1).mean()))


def verdict_rates(verdicts: Sequence[Verdict]) -> dict[Verdict, ErrorRate]:
    """The share of each verdict."""
    counts, runs = Counter(verdicts), len(verdicts)
    return {verdict: _rate(counts[verdict], runs) for verdict in VERDICTS}


def _rate(count: int, runs: int) -> ErrorRate:
    if runs == 0:
        return ErrorRate(0, 0, 0.0, 1.0)
    interval = binomtest(count, runs).proportion_ci(CONFIDENCE, "exact")
    return ErrorRate(count, runs, float(interval.low), float(interval.high))


def _run(changes: Sequence[RoundChange], threshold: float, rows: int, most: int) -> tuple[int, Verdict | None]:
    """Rounds that a run takes from here on, and its verdict; None where they do not suffice."""
    for count in range(sequential_test.MIN_ROUNDS, len(changes) + 1):
        judged = sequential_test.judge_rounds(changes[:count], threshold, rows)
        if judged.decided:
            return count, judged.verdict
        confirming = judged.confirming_rounds is not None and judged.confirming_rounds < sequential_test.MIN_ROUNDS
        if count >= most and not confirming:
            return count, judged.verdict
    return len(changes), None


def _changes(seconds: NDArray[np.float32], head: int) -> list[RoundChange]:
    arms = dict(zip(SIDES, (head, BASE, CONTROL), strict=True))
    return [round_change({side: one[arm].tolist() for side, arm in arms.items()}) for one in seconds]
