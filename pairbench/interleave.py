"""Timing several arms against each other in one process.

Samples are taken in blocks. In a block each arm that takes part is timed once, for about the same duration, in an
order that is random and balanced. What disturbs the machine for longer than a block falls on all arms alike.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Generic

from pairbench import timer
from pairbench.worker_protocol import ArmT, Effort, Sample
from pairbench.workload import TimedCall


@dataclass(frozen=True)
class ArmPlan(Generic[ArmT]):
    """How an arm is timed: ``function(argument)``, ``loops`` calls a sample, in ``blocks`` of the blocks."""

    arm: ArmT
    function: Callable[[Any], object]
    argument: Any
    loops: int
    blocks: int


def plan_arms(calls: Mapping[ArmT, TimedCall], seconds: Mapping[ArmT, float], effort: Effort) -> list[ArmPlan[ArmT]]:
    """How to time arms whose calls take so many seconds. The first arm, the reference, is in every block."""
    plans: list[ArmPlan[ArmT]] = []
    for arm, call in calls.items():
        loops = timer.loops_per_sample(seconds[arm])
        affordable = int(effort.seconds_per_arm / (seconds[arm] * loops))
        blocks = max(1, min(effort.max_blocks, affordable, *(plan.blocks for plan in plans[:1])))
        plans.append(ArmPlan(arm, call.function, call.argument, loops, blocks))
    return plans


def balanced_orders(arms: int, random: Random) -> Iterator[list[int]]:
    """Orders of the arms without end: the rows of random Latin squares, each row followed by its reverse.

    Over the two orders of a row, any two arms come once in either order; over a square's, each arm comes
    twice at every position. So neither a drift nor a place in the block favours an arm.
    """
    while True:
        rows, columns, names = (random.sample(range(arms), arms) for _ in range(3))
        for row in rows:
            order = [names[(row + column) % arms] for column in columns]
            yield order
            yield order[::-1]


def takes_part(block: int, blocks: int, of: int) -> bool:
    """Whether an arm that is timed in ``blocks`` out of ``of`` blocks is timed in this one; evenly spread."""
    return (block + 1) * blocks // of > block * blocks // of


def time_interleaved(
    plans: Sequence[ArmPlan[ArmT]], random: Random, before: Callable[[ArmT], None] = lambda arm: None
) -> dict[ArmT, list[Sample]]:
    """Time the arms in blocks, with the garbage collector off.

    ``before`` is told, outside the timing, which arm comes next.
    """
    samples: dict[ArmT, list[Sample]] = {plan.arm: [] for plan in plans}
    total = max(plan.blocks for plan in plans)
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for block, order in zip(range(total), balanced_orders(len(plans), random), strict=False):
            present = [plans[index] for index in order if takes_part(block, plans[index].blocks, total)]
            for position, plan in enumerate(present):
                before(plan.arm)
                timer.warm_up(plan.function, plan.argument, plan.loops)
                seconds = timer.time_calls(plan.function, plan.argument, plan.loops)
                samples[plan.arm].append(Sample(block, position, plan.loops, seconds))
    finally:
        if enabled:
            gc.enable()
    return samples
