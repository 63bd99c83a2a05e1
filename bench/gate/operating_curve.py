"""The gate's operating curve: how probable each verdict is, against the true slowdown. By simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.gate.error_rates import HEAD, ErrorRate, most_rounds, side_changes, simulate_gate, verdict_rates
from bench.gate.recording import Recording
from pairbench.sequential_test import MIN_ROUNDS, RoundChange, Verdict

THRESHOLD = 0.05
"""Threshold of the gates."""
SLOWDOWNS = (0.0, 0.02, 0.03, 0.04, 0.045, 0.049, 0.05, 0.055, 0.06, 0.07, 0.08, 0.1)
"""True slowdowns of all processes of the head."""
SLOW_MODES = ((0.25, 0.2), (0.15, 0.5), (0.1, 1.0))
"""Shares of the head's processes that are slow, and their slowdowns."""


@dataclass(frozen=True)
class CurvePoint:
    """How often simulated gates, of at most ``rounds`` rounds, gave each verdict.

    A share of the head's processes was slower by ``slowdown``, a share of the call's time.
    """

    rounds: int
    slowdown: float
    share: float
    rates: dict[Verdict, ErrorRate]


def operating_curve(
    recordings: Sequence[Recording], rows: int, budget: float, gates: int, random: Random
) -> list[CurvePoint]:
    """The verdicts of ``gates`` simulated gates for each slowdown, on one of ``rows`` rows, with a budget in seconds.

    Each gate takes the recordings in turn, and draws its rounds from one of them, with replacement. This keeps the
    distribution of the noise, and loses only the order of the rounds.
    """
    rounds = most_rounds(recordings, rows, budget)
    changes = [side_changes(one.seconds, HEAD) for one in recordings]
    heads = [(slowdown, 1.0) for slowdown in SLOWDOWNS] + [(slowdown, share) for share, slowdown in SLOW_MODES]
    return [
        CurvePoint(rounds, slowdown, share, _rates(changes, slowdown, share, rows, rounds, gates, random))
        for slowdown, share in heads
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
    changes: Sequence[Sequence[RoundChange]],
    slowdown: float,
    share: float,
    rows: int,
    rounds: int,
    gates: int,
    random: Random,
) -> dict[Verdict, ErrorRate]:
    verdicts = []
    for number in range(gates):
        recorded = changes[number % len(changes)]
        drawn = slowed(random.choices(recorded, k=rounds + MIN_ROUNDS), slowdown, share, random)
        _, verdict = simulate_gate(drawn, THRESHOLD, rows, rounds)
        verdicts.append(verdict or "INCONCLUSIVE")
    return verdict_rates(verdicts)
