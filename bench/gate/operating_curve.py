"""The gate's operating curve: how probable each verdict is, against the true slowdown. By simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.gate.error_rates import HEAD, ErrorRate, GateSize, gate_size, side_changes, simulate_gate, verdict_rates
from bench.gate.recorded_rows import SimulatedGate
from bench.gate.recording import Recording
from pairbench.sequential_test import PASS_ROUNDS, RoundChange, Verdict

SLOWDOWNS = (0.0, 0.4, 0.6, 0.8, 0.9, 0.98, 1.0, 1.1, 1.2, 1.4, 1.5, 1.6, 2.0)
"""True slowdowns of all processes of the head, as multiples of the threshold."""
SLOW_MODES = ((0.25, 0.2), (0.15, 0.5), (0.1, 1.0))
"""Shares of the head's processes that are slow, and their slowdowns."""


@dataclass(frozen=True)
class CurvePoint:
    """How often simulated gates of a size gave each verdict.

    A share of the head's processes was slower by ``slowdown``, a share of the call's time.
    """

    size: GateSize
    slowdown: float
    share: float
    rates: dict[Verdict, ErrorRate]


def operating_curve(
    recordings: Sequence[Recording], gate: SimulatedGate, budget: float, gates: int, random: Random
) -> list[CurvePoint]:
    """The verdicts of ``gates`` simulated gates for each slowdown. ``budget``: seconds, unless the gate has its own.

    Each gate takes the recordings in turn, and draws its rounds from one of them, with replacement. This keeps the
    distribution of the noise, and loses only the order of the rounds.
    """
    size = gate_size(recordings, gate.threshold, gate.rows, gate.budget or budget)
    changes = [
        (side_changes(one.seconds, HEAD, size.blocks), side_changes(one.seconds, HEAD, size.later_blocks))
        for one in recordings
    ]
    heads = [(round(multiple * gate.threshold, 6), 1.0) for multiple in SLOWDOWNS]
    heads += [(slowdown, share) for share, slowdown in SLOW_MODES]
    return [
        CurvePoint(size, slowdown, share, _rates(changes, slowdown, share, gate, size.rounds, gates, random))
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
    changes: Sequence[tuple[Sequence[RoundChange], Sequence[RoundChange]]],
    slowdown: float,
    share: float,
    gate: SimulatedGate,
    rounds: int,
    gates: int,
    random: Random,
) -> dict[Verdict, ErrorRate]:
    verdicts = []
    for number in range(gates):
        first, later = changes[number % len(changes)]
        drawn = [*random.choices(first, k=PASS_ROUNDS), *random.choices(later, k=rounds)]
        _, verdict = simulate_gate(slowed(drawn, slowdown, share, random), gate.threshold, gate.rows, rounds)
        verdicts.append(verdict or "INCONCLUSIVE")
    return verdict_rates(verdicts)
