"""Compares the worker's clock with that of the parent, which the code under test cannot reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

MIN_READINGS = 8
FEW_READINGS, FEW_SECONDS = 3, 0.05
"""Readings are compared if there are ``MIN_READINGS``, or ``FEW_READINGS`` that last ``FEW_SECONDS`` together by either
clock."""
LATENCY_SECONDS, LATENCY_SHARE = 0.0004, 0.25
"""Most time that the transfer of two messages explains, beyond what other processes take now and then."""
DELAY_FACTOR = 4.0
"""How much larger than the median difference of the other arms every difference between the clocks must be."""


@dataclass(frozen=True)
class ClockReading:
    """A sample took ``reported`` seconds by the worker's clock.

    By the parent's clock, the messages around the sample arrived ``elapsed`` seconds apart, and the sample cannot have
    taken longer than ``longest``, the time since the parent's last message to the worker.
    """

    arm: Any
    reported: float
    elapsed: float
    longest: float


def disagreement(readings: Sequence[ClockReading], others: Sequence[ClockReading] = ()) -> str:
    """How the two clocks disagree on an arm, in one line; empty if they agree.

    A worker's clock that is too fast reports more than ``longest``. One that is too slow reports less than ``elapsed``,
    but so does a right one if the second message arrives late, as on a busy machine. Such clocks disagree only if all
    readings do, and all by far more than those of ``others``, the other arms in the process.
    """
    shorter = min(sum(one.elapsed for one in readings), sum(one.reported for one in readings))
    if len(readings) < MIN_READINGS and (len(readings) < FEW_READINGS or shorter < FEW_SECONDS):
        return ""
    usual = median(abs(one.elapsed - one.reported) for one in others) if others else 0.0
    too_slow = all(
        one.elapsed - one.reported > max(LATENCY_SECONDS + LATENCY_SHARE * one.elapsed, DELAY_FACTOR * usual)
        for one in readings
    )
    too_fast = all(one.reported > LATENCY_SECONDS + one.longest for one in readings)
    if not too_slow and not too_fast:
        return ""
    reported, elapsed = (sum(getattr(one, name) for one in readings) for name in ("reported", "elapsed"))
    return f"its clock is wrong: samples of {elapsed * 1e3:.3g} ms are reported as {reported * 1e3:.3g} ms"
