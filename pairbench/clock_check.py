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
"""How much larger than that of the other arms the median difference between the clocks must be."""


@dataclass(frozen=True)
class ClockReading:
    """A sample took ``reported`` seconds by the worker's clock, and ``elapsed`` seconds by the parent's."""

    arm: Any
    reported: float
    elapsed: float


def disagreement(readings: Sequence[ClockReading], others: Sequence[ClockReading] = ()) -> str:
    """How the two clocks disagree on an arm, in one line; empty if they agree.

    The messages around a sample arrive late on a busy machine, but not around every sample. The clocks therefore
    disagree only if all readings do, in the same direction. On a very busy machine the messages around every sample are
    late, but those of all arms are: ``others``, the readings of the other arms in the process, must show far smaller
    differences.
    """
    shorter = min(sum(one.elapsed for one in readings), sum(one.reported for one in readings))
    if len(readings) < MIN_READINGS and (len(readings) < FEW_READINGS or shorter < FEW_SECONDS):
        return ""
    tolerances = [LATENCY_SECONDS + LATENCY_SHARE * max(one.reported, one.elapsed) for one in readings]
    differences = [one.elapsed - one.reported for one in readings]
    pairs = list(zip(differences, tolerances, strict=True))
    if not all(difference > tolerance for difference, tolerance in pairs) and not all(
        difference < -tolerance for difference, tolerance in pairs
    ):
        return ""
    usual = median(abs(one.elapsed - one.reported) for one in others) if others else 0.0
    if abs(median(differences)) < DELAY_FACTOR * usual:
        return ""
    reported, elapsed = (sum(getattr(one, name) for one in readings) for name in ("reported", "elapsed"))
    return f"its clock is wrong: samples of {elapsed * 1e3:.3g} ms are reported as {reported * 1e3:.3g} ms"
