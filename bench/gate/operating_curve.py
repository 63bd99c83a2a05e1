"""The gate's operating curve: how probable each verdict is, against the true slowdown. By simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.gate.error_rates import HEAD, ErrorRate, side_changes, simulate_gate, verdict_rates
from bench.gate.recording import Recording
from pairbench.sequential_test import MIN_ROUNDS, RoundChange, Verdict

SLOWDOWNS = (0.0, 0.02, 0.03, 0.04, 0.045, 0.049, 0.05, 0.055, 0.06, 0.07, 0.08, 0.1)
"""True slowdowns of all processes of the head."""
SLOW_MODES = ((0.25, 0.2), (0.15, 0.5), (0.1, 1.0))
"""Shares of the head's processes that are slow, and their slowdowns."""


@dataclass(frozen=True)
class CurvePoint:
    """How often simulated gates gave each verdict when a share of the head's processes had a slowdown."""

    slowdown: float
    share: float
    rates: dict[Verdict, ErrorRate]


def operating_curve(
    recording: Recording, threshold: float, rows: int, rounds: int, gates: int, random: Random
) -> list[CurvePoint]:
    """The verdicts of ``gates`` simulated gates for each slowdown, on one of ``rows`` rows, with at most ``rounds``.

    Each gate draws its rounds from the recording, with replacement. This keeps the distribution of the noise, and loses
    only the order of the rounds.
    """
    changes = side_changes(recording.seconds, HEAD)
    points = [(slowdown, 1.0) for slowdown in SLOWDOWNS] + [(slowdown, share) for share, slowdown in SLOW_MODES]
    return [
        CurvePoint(slowdown, share, _rates(changes, slowdown, share, threshold, rows, rounds, gates, random))
        for slowdown, share in points
    ]


def slowed(changes: Sequence[RoundChange], slowdown: float, share: float, random: Random) -> list[RoundChange]:
    """The changes of a head of which a share of the processes, drawn at random, is slower."""
    step = math.log1p(slowdown)
    return [
        replace(change, to_base=change.to_base + step, to_control=change.to_control + step)
        if random.random() < share
        else change
        for change in changes
    ]


def _rates(
    changes: Sequence[RoundChange],
    slowdown: float,
    share: float,
    threshold: float,
    rows: int,
    rounds: int,
    gates: int,
    random: Random,
) -> dict[Verdict, ErrorRate]:
    verdicts = []
    for _ in range(gates):
        drawn = slowed(random.choices(changes, k=rounds + MIN_ROUNDS), slowdown, share, random)
        _, verdict = simulate_gate(drawn, threshold, rows, rounds)
        verdicts.append(verdict or "INCONCLUSIVE")
    return verdict_rates(verdicts)
