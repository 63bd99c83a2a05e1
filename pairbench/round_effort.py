"""How many samples a round of the gate takes: enough for the threshold, in a time that suits the budget."""

from __future__ import annotations

__all__ = [
    "MAX_BLOCKS",
    "MIN_BLOCKS",
    "block_noise",
    "choose_effort",
    "needed_blocks",
    "with_loops",
    "with_most_blocks",
]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from statistics import NormalDist, median
from typing import TypeVar

from pairbench import rounds, sequential_test, timer
from pairbench.rounds import RoundPlan

Plan = TypeVar("Plan", bound=RoundPlan)

MIN_BLOCKS, MAX_BLOCKS = 9, 120
"""Blocks of a round, for a call that fits into a sample. In the recording ``idle``, the medians of 9 blocks vary by a
fifth more than those of 15, and a given time has room for a third more rounds of a default gate."""
MIN_SLOW_BLOCKS = (3, 1)
"""Fewest blocks for a call that is longer than ``SAMPLE_SECONDS``, in the order in which they are tried. The median of
three blocks ignores one disturbed sample; one block is used only where the budget does not allow three."""
USUAL_NOISE = 0.05
"""Rough standard deviation of the change that a single block shows, before the first round tells it."""
NOISE_SHARE = 0.4
"""The blocks of a round add noise of this share of the threshold, at most. The processes of a round differ by about as
much at the usual threshold, so that more blocks would gain little."""
TIMING_SHARE = 0.25
"""Timing takes at least this share of a round's other time, because blocks beside it cost little."""


@dataclass(frozen=True)
class RoundEffort:
    """Limits of the samples in a round.

    ``least`` and ``most`` are numbers of blocks for a call that fits into a sample; a longer call has fewer, for about
    the same time, but at least ``least_slow``. ``overhead``: seconds of a round that are not spent on timing.
    """

    least: int
    most: int
    least_slow: int
    overhead: float


def with_loops(plan: Plan, call_seconds: float) -> Plan:
    """The plan with as many calls in a sample as fill it, at rough seconds per call."""
    return replace(plan, loops=timer.loops_per_sample(call_seconds), call_seconds=call_seconds)


def choose_effort(plans: Mapping[str, RoundPlan], budget: float, overhead: float) -> RoundEffort:
    """The limits with which ``PASS_ROUNDS`` rounds take at most 2/3 of the budget, in seconds, if possible."""
    round_seconds = budget / (1.5 * sequential_test.PASS_ROUNDS) - overhead
    for least_slow, most in product(MIN_SLOW_BLOCKS, range(MAX_BLOCKS, MIN_BLOCKS - 1, -1)):
        if _timing_seconds(plans, most, least_slow) <= round_seconds:
            break
    block_seconds = _timing_seconds(plans, MIN_BLOCKS, least_slow) / MIN_BLOCKS
    affordable = int(TIMING_SHARE * overhead / block_seconds) if block_seconds else MIN_BLOCKS
    return RoundEffort(min(most, max(MIN_BLOCKS, affordable)), most, least_slow, overhead)


def with_blocks(plan: RoundPlan, effort: RoundEffort, threshold: float, noise: float) -> RoundPlan:
    """The plan with the blocks that a threshold needs. ``noise``: standard deviation of the change of a block."""
    least, most = (_blocks_of(plan, blocks, effort.least_slow) for blocks in (effort.least, effort.most))
    return replace(plan, blocks=min(most, max(least, needed_blocks(noise, threshold))))


def needed_blocks(noise: float, threshold: float) -> int:
    """Number of blocks whose noise is at most ``NOISE_SHARE`` of the threshold."""
    return math.ceil((noise / (NOISE_SHARE * threshold)) ** 2)


def with_most_blocks(plan: RoundPlan, effort: RoundEffort) -> RoundPlan:
    """The plan with as many blocks as the effort allows."""
    return replace(plan, blocks=_blocks_of(plan, effort.most, effort.least_slow))


def seconds(effort: RoundEffort, plans: Sequence[RoundPlan]) -> float:
    """Rough seconds of a round."""
    return effort.overhead + sum(map(timing_seconds, plans))


def timing_seconds(plan: RoundPlan) -> float:
    """Rough seconds that the samples of a row take in a round, over all sides."""
    return len(rounds.SIDES) * plan.blocks * (1.1 * plan.loops * plan.call_seconds + rounds.TURN_SECONDS)


def block_noise(times: Mapping[str, Sequence[float]]) -> float:
    """Standard deviation of the change that a single block of a round shows; ``times``: seconds by side.

    A robust estimate from the differences of all pairs of sides. It does not depend on which side is the head, and so
    tells the permutation test nothing.
    """
    distances = []
    for one, other in combinations(times.values(), 2):
        differences = [math.log(a / b) for a, b in zip(one, other, strict=True)]
        middle = median(differences)
        distances += [abs(difference - middle) for difference in differences]
    # The change compares the head with the mean of two: 3/2 of the variance of a sample, where a difference has 2.
    return math.sqrt(3 / 4) * median(distances) / NormalDist().inv_cdf(3 / 4)


def _timing_seconds(plans: Mapping[str, RoundPlan], blocks: int, least_slow: int) -> float:
    return sum(timing_seconds(replace(plan, blocks=_blocks_of(plan, blocks, least_slow))) for plan in plans.values())


def _blocks_of(plan: RoundPlan, blocks: int, least_slow: int) -> int:
    """``blocks``, or fewer for the same total time, if a call takes longer than a sample."""
    return max(least_slow, min(blocks, round(blocks * timer.SAMPLE_SECONDS / (plan.loops * plan.call_seconds))))
