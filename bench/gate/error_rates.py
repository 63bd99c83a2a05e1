"""Error rates of decision rules, the gate's and those of other tools, over disjoint runs of a recording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, mannwhitneyu

from bench.gate.recorded_rows import DEFAULT_ROWS
from bench.gate.recording import ARMS, PLANTED, Recording, delayed_arm
from pairbench import round_effort, sequential_test
from pairbench.measurement_loop import round_change
from pairbench.rounds import SIDES
from pairbench.sequential_test import RoundChange, Verdict
from pairbench.wording import in_percent

HEAD, BASE, CONTROL = 0, 1, 2
CONFIDENCE = 0.95
THRESHOLDS = (0.05, 0.03)
OTHER_SECONDS = {1: 0.85, DEFAULT_ROWS: 1.5}
"""Rough seconds of a round that are not spent on timing, by number of rows."""
VERDICTS: tuple[Verdict, ...] = ("FAIL", "PASS", "INCONCLUSIVE")

Rule = Callable[[NDArray[np.float32], int], Iterator[Verdict]]
"""A decision rule. It takes times, with the axes (rounds, arms, blocks), and the index of the arm that plays the head.
It cuts the rounds into simulated runs of its tool, which do not overlap, and yields the verdict of each."""


@dataclass(frozen=True)
class ErrorRate:
    """How many of ``runs`` runs gave a verdict, and the interval of the share by Clopper and Pearson, 1934."""

    count: int
    runs: int
    low: float
    high: float


@dataclass(frozen=True)
class RuleScore:
    """A rule's verdicts on the runs with a planted delay; ``planted`` is 0 without a delay.

    ``planted`` is the intended slowdown as a share of the call's time, ``measured`` the slowdown in the recording.
    """

    rule: str
    planted: float
    measured: float
    rates: dict[Verdict, ErrorRate]


@dataclass(frozen=True)
class RowSamples:
    """How the samples of a row are taken in a round; see ``round_effort.TimedRow``."""

    loops: int
    blocks: int
    call_seconds: float


@dataclass(frozen=True)
class GateSize:
    """The size of a simulated gate: at most ``rounds`` rounds.

    The rounds before the first PASS, at which all rows are open, have ``blocks`` blocks, the others ``later_blocks``.
    """

    rounds: int
    blocks: int
    later_blocks: int


def gate_size(recordings: Sequence[Recording], threshold: float, rows: int, budget: float) -> GateSize:
    """The size that a gate has within a budget in seconds, if its rounds are as noisy as those of the recordings.

    It has one row or those of a default gate, of which all but one pass as soon as possible.
    """
    noise = median(
        round_effort.block_noise(dict(zip(SIDES, sides.tolist(), strict=True)))
        for recording in recordings
        for sides in recording.seconds[:, : len(SIDES)]
    )
    recorded = RowSamples(recordings[0].calibration.loops, 1, float(np.median(recordings[0].seconds)))

    def samples_and_seconds(open_rows: int) -> tuple[RowSamples, float]:
        """The samples of a row in a round, and the duration of the round, which also times a reference."""
        reference = round_effort.with_fewest_blocks(recorded)
        overhead = OTHER_SECONDS[open_rows] + round_effort.timing_seconds([reference])
        effort = round_effort.choose_effort([recorded] * open_rows, budget, overhead)
        row = round_effort.with_blocks(recorded, effort, threshold, noise)
        return row, overhead + round_effort.timing_seconds([row] * open_rows)

    first, first_seconds = samples_and_seconds(rows)
    later, later_seconds = samples_and_seconds(1)
    until_pass = sequential_test.PASS_ROUNDS * first_seconds
    rounds = min(budget, until_pass) / first_seconds + max(0.0, budget - until_pass) / later_seconds
    return GateSize(max(sequential_test.MIN_ROUNDS, int(rounds)), first.blocks, later.blocks)


def gate_rule(threshold: float, rows: int, size: GateSize) -> Rule:
    """The gate's sequential test of one of ``rows`` rows, in a gate of this size."""

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        first, later = (side_changes(seconds, head, blocks) for blocks in (size.blocks, size.later_blocks))
        begin = 0
        while begin + sequential_test.MIN_ROUNDS <= len(first):
            end, middle = begin + size.rounds + sequential_test.MIN_ROUNDS, begin + sequential_test.PASS_ROUNDS
            changes = [*first[begin:middle], *later[middle:end]]
            run, verdict = simulate_gate(changes, threshold, rows, size.rounds)
            if verdict is None:  # the recording ended before the run
                return
            yield verdict
            begin += run

    return verdicts


def point_estimate_rule(statistic: Callable[[NDArray[np.float32]], float], limit: float) -> Rule:
    """Compare point estimates of one process per side, as pytest-benchmark does with ``--benchmark-compare-fail``."""

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        for times in seconds:
            yield "FAIL" if statistic(times[head]) > (1 + limit) * statistic(times[BASE]) else "PASS"

    return verdicts


def mann_whitney_rule(factor: float, level: float, processes: int) -> Rule:
    """Fail if the medians of pooled processes differ by ``factor`` and a U test is significant, as asv does."""

    def verdicts(seconds: NDArray[np.float32], head: int) -> Iterator[Verdict]:
        for begin in range(0, len(seconds) - processes + 1, processes):
            head_times, base_times = (seconds[begin : begin + processes, arm].ravel() for arm in (head, BASE))
            slower = float(np.median(head_times)) > factor * float(np.median(base_times))
            yield "FAIL" if slower and mannwhitneyu(head_times, base_times).pvalue < level else "PASS"

    return verdicts


RULES_OF_OTHER_TOOLS: dict[str, Rule] = {
    "pytest-benchmark mean:10%": point_estimate_rule(lambda times: float(times.mean()), 0.10),
    "pytest-benchmark min:5%": point_estimate_rule(lambda times: float(times.min()), 0.05),
    "asv Mann-Whitney, 1.1": mann_whitney_rule(1.1, 0.002, 2),
}


def score_rules(recording: Recording, budget: float) -> list[RuleScore]:
    """The scores of every rule for every planted delay. ``budget``: seconds of a gate."""
    rules = {
        f"gate, {in_percent(threshold)}, {'1 row' if rows == 1 else f'of {rows} rows'}": gate_rule(
            threshold, rows, gate_size([recording], threshold, rows, budget)
        )
        for threshold in THRESHOLDS
        for rows in (1, DEFAULT_ROWS)
    }
    delayed = [ARMS.index(delayed_arm(planted)) for planted in PLANTED]
    heads = {HEAD: 0.0, **dict(zip(delayed, PLANTED, strict=True))}
    measured = {head: _measured(recording.seconds, head) for head in heads}
    return [
        RuleScore(name, planted, measured[head], verdict_rates(list(verdicts(recording.seconds, head))))
        for name, verdicts in {**rules, **RULES_OF_OTHER_TOOLS}.items()
        for head, planted in heads.items()
    ]


def _measured(seconds: NDArray[np.float32], head: int) -> float:
    """The slowdown of an arm by its delay: median over blocks, mean over rounds."""
    logarithms = np.log(seconds.astype(float))
    return float(np.expm1(np.median(logarithms[:, head] - logarithms[:, HEAD], axis=1).mean()))


def verdict_rates(verdicts: Sequence[Verdict]) -> dict[Verdict, ErrorRate]:
    """The rate of each verdict."""
    counts, runs = Counter(verdicts), len(verdicts)
    return {verdict: rate(counts[verdict], runs) for verdict in VERDICTS}


def rate(count: int, runs: int) -> ErrorRate:
    """The rate of ``count`` of ``runs`` runs."""
    if runs == 0:
        return ErrorRate(0, 0, 0.0, 1.0)
    interval = binomtest(count, runs).proportion_ci(CONFIDENCE, "exact")
    return ErrorRate(count, runs, float(interval.low), float(interval.high))


def simulate_gate(
    changes: Sequence[RoundChange], threshold: float, rows: int, max_rounds: int
) -> tuple[int, Verdict | None]:
    """Number of rounds of a gate that starts with ``changes``, and its verdict; None if the changes do not suffice.

    A confirmation that has begun continues to its first interim analysis, even beyond ``max_rounds``.
    """
    judgement = sequential_test.judge_rounds(changes[:max_rounds], threshold, rows)
    if judgement.is_confirming:
        last = judgement.rounds - (judgement.confirming_rounds or 0) + sequential_test.MIN_ROUNDS
        judgement = sequential_test.judge_rounds(changes[: max(last, max_rounds)], threshold, rows)
    is_cut_off = not judgement.decided and (judgement.rounds < max_rounds or judgement.is_confirming)
    return judgement.rounds, None if is_cut_off else judgement.verdict


def side_changes(seconds: NDArray[np.float32], head: int, blocks: int) -> list[RoundChange]:
    """The changes of the rounds, with the arm of index ``head`` as the head.

    Of each round ``blocks`` count, spread over the round, or all if the recording has fewer. Where the head also runs
    delayed copies of its call, the first block does not count: the head's caches are warmer there, and it is 6 % faster
    than base and control.
    """
    arms = dict(zip(SIDES, (head, BASE, CONTROL), strict=True))
    if seconds.shape[1] > len(SIDES):
        seconds = seconds[..., 1:]
    recorded = seconds.shape[-1]
    chosen = seconds[..., np.linspace(0, recorded - 1, min(blocks, recorded)).round().astype(int)]
    return [round_change({side: times[arm].tolist() for side, arm in arms.items()}) for times in chosen]
