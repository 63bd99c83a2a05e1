"""From the samples of functions to ratios with intervals, which stay valid however often they are looked at.

In one process, consecutive blocks are not independent: a disturbance lasts longer than a block. The blocks are
therefore divided into about ``BATCHES`` batches of consecutive blocks, each of which takes ``BATCH_SECONDS`` or more,
and the replicates are the medians of the batches. (Source: Law and Carson, "A sequential procedure for determining the
length of a steady-state simulation", Operations Research 27, 1979.) A batch has an odd number of blocks, because the
median of an odd number of values lies above the true median as often as below it. With several processes, the
replicates are the medians of the processes.

The interval is that of ``statistics.median_ends``. Whoever measures until a result is clear looks at the data many
times. Look k has the error probability 0.05/(k(k + 1)), so that all looks together have 0.05 at most, as the interim
analyses of ``sequential_test`` have.
"""

from __future__ import annotations

__all__ = ["FIRST_LOOK", "batches", "look_confidence", "smallest_batch"]

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal

from pairbench.function_timer import Reading
from pairbench.statistics import CONFIDENCE, Interval, order_statistic, ratio_interval

BATCHES, BATCH_SECONDS = 20, 0.05
FIRST_LOOK = 8
"""Batches before the first look, the fewest whose smallest and largest ratio have the confidence of that look."""
SMALLEST = 1e-12
"""Seconds that stand for a time that is not longer than the loop's."""
OWN_SHARE = 0.25
"""Nothing is told about a function whose own time may be less than this share of the time of an empty loop."""

Samples = Mapping[str, Sequence[Reading]]
"""The readings of each arm in one process."""
Loop = Literal["empty", "bare"]


def look_confidence(look: int) -> float:
    """Confidence of the interval at look number ``look``, the first of which is 1."""
    return 1 - (1 - CONFIDENCE) / (look * (look + 1))


def smallest_batch(block_seconds: float) -> int:
    """Blocks in a batch, an odd number, if a block takes this long."""
    return 2 * math.ceil((BATCH_SECONDS / block_seconds - 1) / 2) + 1 if block_seconds < BATCH_SECONDS else 1


def batches(values: Sequence[float], smallest: int = 1) -> list[Sequence[float]]:
    """Consecutive values in batches of an equal and odd size, the odd number ``smallest`` or more.

    There are ``BATCHES`` or more, if there are enough values. The first values are left out if the number of values is
    no multiple of the size; without a whole batch, all values are one.
    """
    size = max(smallest, len(values) // BATCHES)
    size = min(size - 1 + size % 2, len(values))
    if size == 0:
        return []
    kept = values[len(values) % size :]
    return [kept[start : start + size] for start in range(0, len(kept), size)]


def own_seconds(reading: Reading, loop: Loop = "empty") -> float:
    """Seconds per call without the loop, but no less than ``SMALLEST``."""
    return max(SMALLEST, reading.gross - (reading.empty if loop == "empty" else reading.bare))


def ratio(
    processes: Sequence[Samples], over: str, under: str, confidence: float = CONFIDENCE, smallest: int = 1
) -> Interval | None:
    """Time of the arm ``over`` ÷ time of the arm ``under``, with its interval; None without common blocks.

    In a single process, a batch has ``smallest`` blocks or more.
    The interval contains those for the shortest and for the longest time that the loop may take. The ends are None with
    a single replicate.
    """
    found = [_ratio(processes, over, under, loop, confidence, smallest) for loop in ("empty", "bare")]
    estimate, other = found
    if estimate is None or other is None:
        return None
    if None in (estimate.low, estimate.high, other.low, other.high):
        return Interval(estimate.estimate, None, None)
    lows, highs = [one.low for one in (estimate, other)], [one.high for one in (estimate, other)]
    return Interval(estimate.estimate, min(filter(None, lows)), max(filter(None, highs)))


def _ratio(
    processes: Sequence[Samples], over: str, under: str, loop: Loop, confidence: float, smallest: int
) -> Interval | None:
    values = [log_ratios(samples, over, under, loop) for samples in processes]
    replicates = batches(values[0], smallest) if len(values) == 1 else values
    return ratio_interval(replicates, confidence)


def log_ratios(samples: Samples, over: str, under: str, loop: Loop = "empty") -> list[float]:
    """Logarithms of the ratios in the blocks that both arms have, in order."""
    denominators = {reading.block: own_seconds(reading, loop) for reading in samples.get(under, ())}
    return [
        math.log(own_seconds(reading, loop) / denominators[reading.block])
        for reading in samples.get(over, ())
        if reading.block in denominators
    ]


def seconds(processes: Sequence[Samples], arm: str) -> float | None:
    """Median seconds per call; None without samples. With several processes, the median over their medians."""
    medians = [median(map(own_seconds, samples[arm])) for samples in processes if samples.get(arm)]
    return median(medians) if medians else None


def too_short(processes: Sequence[Samples], arm: str) -> str:
    """Why nothing can be told about the time of an arm, in one line; empty if something can."""
    readings = [reading for samples in processes for reading in samples.get(arm, ())]
    if not readings:
        return ""
    loop, gross = (median(getattr(one, name) for one in readings) for name in ("empty", "gross"))
    own = sorted(map(own_seconds, readings))
    k = order_statistic(len(own), CONFIDENCE)
    if (own[k - 1] if k else median(own)) > OWN_SHARE * loop:
        return ""
    return (
        f"is too short to time: a call takes {gross * 1e9:.3g} ns with the loop, "
        f"and the loop alone {loop * 1e9:.3g} ns; let each call do more work"
    )
