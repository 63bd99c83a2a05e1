"""Timing several arms against each other in one process.

Arms are timed in blocks. Within a block each arm that takes part is timed once, for about the same duration,
in an order that is random and balanced. What disturbs the machine for longer than a block falls on all arms
of it alike.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from pairbench.timer import SAMPLE_SECONDS, time_calls
from pairbench.worker_protocol import Arm, Effort, Sample


@dataclass(frozen=True)
class ArmPlan:
    """How an arm is timed: ``function(argument)``, ``loops`` calls at a time, in so many of the blocks."""

    arm: Arm
    function: Callable[[Any], object]
    argument: Any
    loops: int
    blocks: int


def plan_arms(
    arms: Sequence[Arm],
    calls: Sequence[tuple[Callable[[Any], object], Any]],
    seconds: Sequence[float],
    effort: Effort,
) -> list[ArmPlan]:
    """How to time arms whose calls take so many seconds. The first arm, the reference, is in every block."""
    plans = []
    for arm, (function, argument), duration in zip(arms, calls, seconds, strict=True):
        loops = max(1, round(SAMPLE_SECONDS / duration))
        count = max(1, min(effort.most_blocks, int(effort.budget / (duration * loops))))
        plans.append(ArmPlan(arm, function, argument, loops, count))
    return [replace(one, blocks=min(one.blocks, plans[0].blocks)) for one in plans]


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
    plans: Sequence[ArmPlan], random: Random, before: Callable[[Arm], None] = lambda arm: None
) -> dict[Arm, list[Sample]]:
    """Time the arms in blocks, with the garbage collector off.

    ``before`` is told, outside the timing, which arm comes next. An arm that is looped is called once before
    its stretch: that brings its code and data back into the caches.
    """
    samples: dict[Arm, list[Sample]] = {plan.arm: [] for plan in plans}
    total = max(plan.blocks for plan in plans)
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for block, order in zip(range(total), balanced_orders(len(plans), random), strict=False):
            present = [plans[index] for index in order if takes_part(block, plans[index].blocks, total)]
            for position, plan in enumerate(present):
                before(plan.arm)
                if plan.loops > 1:
                    plan.function(plan.argument)
                seconds = time_calls(plan.function, plan.argument, plan.loops)
                samples[plan.arm].append(Sample(block, position, plan.loops, seconds))
    finally:
        if enabled:
            gc.enable()
    return samples
