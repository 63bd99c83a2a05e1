"""How many samples a round of the gate takes: enough for the threshold, in a time that suits the budget."""

from __future__ import annotations

__all__ = [
    "MAX_BLOCKS",
    "block_noise",
    "choose_effort",
    "timing_seconds",
    "with_blocks",
    "with_fewest_blocks",
    "with_loops",
    "with_most_blocks",
]

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist, median
from typing import Any, ClassVar, Protocol, TypeVar

from pairbench import rounds, sequential_test, timer


class TimedRow(Protocol):
    """What this module needs to know of a row, such as a ``RoundPlan``; it has the same fields."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def loops(self) -> int:
        """Number of calls in a sample."""

    @property
    def blocks(self) -> int:
        """Number of blocks in a round."""

    @property
    def call_seconds(self) -> float:
        """Rough seconds per call."""


Row = TypeVar("Row", bound=TimedRow)

MIN_BLOCKS, MAX_BLOCKS = 9, 120
"""Blocks of a round, for a call that fits into a sample. In the recording ``idle``, the medians of 9 blocks vary by a
fifth more than those of 15, and a given time has room for a third more rounds of a default gate."""
MIN_SLOW_BLOCKS = 3
"""Fewest blocks for a call that is longer than ``SAMPLE_SECONDS``, because the median of three ignores one disturbed
sample. There is only one where ``PASS_ROUNDS`` rounds of three would take more than the budget."""
USUAL_NOISE = 0.05
"""Rough standard deviation of the change that a single block shows, before the first round tells it."""
NOISE_SHARE = 0.4
"""The blocks of a round add noise of this share of the threshold, at most. The processes of a round differ by about as
much at the usual threshold, so that more blocks would gain little."""
PASS_SHARE = 0.33
"""Share of the budget for the rounds after which unchanged rows PASS. The rest is for those that stay open."""
TIMING_SHARE = 0.25
"""Timing takes at least this share of a round's other time, because blocks beside it cost little."""
SMALL_BUDGET_SHARE = 0.8
"""If the budget does not suffice for ``PASS_ROUNDS``, timing may still take this share of a round's other time, where
the threshold needs it. In the recording ``fine``, gates of 30 seconds with fewer blocks detect less."""


@dataclass(frozen=True)
class RoundEffort:
    """Limits of the samples in a round.

    ``least`` and ``most`` are numbers of blocks for a call that fits into a sample; a longer call has fewer, for about
    the same time, but at least ``least_slow``.
    """

    least: int
    most: int
    least_slow: int


def with_loops(row: Row, call_seconds: float) -> Row:
    """The row with as many calls in a sample as fill it, at rough seconds per call."""
    return replace(row, loops=timer.loops_per_sample(call_seconds), call_seconds=call_seconds)


def choose_effort(rows: Sequence[TimedRow], budget: float, overhead: float) -> RoundEffort:
    """The limits with which ``PASS_ROUNDS`` rounds take at most ``PASS_SHARE`` of the budget, if possible.

    ``budget`` and ``overhead``, the time of a round that is not spent on timing these rows, are in seconds.
    """
    round_seconds = budget / sequential_test.PASS_ROUNDS
    fewest = overhead + _timing_seconds(rows, MIN_BLOCKS, MIN_SLOW_BLOCKS)
    least_slow = MIN_SLOW_BLOCKS if fewest <= round_seconds else 1
    most = MIN_BLOCKS + bisect_right(
        range(MIN_BLOCKS + 1, MAX_BLOCKS + 1),
        PASS_SHARE * round_seconds,
        key=lambda blocks: overhead + _timing_seconds(rows, blocks, least_slow),
    )
    block_seconds = _timing_seconds(rows, MIN_BLOCKS, least_slow) / MIN_BLOCKS
    least, enough = (
        min(MAX_BLOCKS, max(MIN_BLOCKS, int(share * overhead / block_seconds) if rows else 0))
        for share in (TIMING_SHARE, SMALL_BUDGET_SHARE)
    )
    return RoundEffort(min(most, least), max(most, enough), least_slow)


def with_blocks(row: Row, effort: RoundEffort, threshold: float, noise: float) -> Row:
    """The row with the blocks that a threshold needs. ``noise``: standard deviation of the change of a block."""
    least, most = (_blocks_of(row, blocks, effort.least_slow) for blocks in (effort.least, effort.most))
    return replace(row, blocks=min(most, max(least, needed_blocks(noise, threshold))))


def with_fewest_blocks(row: Row) -> Row:
    """The row with the blocks that suffice for a reference, which gets no verdict."""
    return replace(row, blocks=_blocks_of(row, MIN_BLOCKS, MIN_SLOW_BLOCKS))


def with_most_blocks(row: Row, effort: RoundEffort) -> Row:
    """The row with as many blocks as the effort allows."""
    return replace(row, blocks=_blocks_of(row, effort.most, effort.least_slow))


def needed_blocks(noise: float, threshold: float) -> int:
    """Number of blocks whose noise is at most ``NOISE_SHARE`` of the threshold."""
    return math.ceil((noise / (NOISE_SHARE * threshold)) ** 2)


def timing_seconds(rows: Sequence[TimedRow]) -> float:
    """Rough seconds that the samples of these rows take in a round, over all sides."""
    return sum(
        len(rounds.SIDES) * row.blocks * (1.1 * row.loops * row.call_seconds + rounds.TURN_SECONDS) for row in rows
    )


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


def _timing_seconds(rows: Sequence[TimedRow], blocks: int, least_slow: int) -> float:
    return timing_seconds([replace(row, blocks=_blocks_of(row, blocks, least_slow)) for row in rows])


def _blocks_of(row: TimedRow, blocks: int, least_slow: int) -> int:
    """``blocks``, or fewer for the same total time, if a call takes longer than a sample."""
    return max(least_slow, min(blocks, round(blocks * timer.SAMPLE_SECONDS / (row.loops * row.call_seconds))))
