"""Times several arms against each other in one process.

Samples are taken in blocks. In a block, each participating arm is timed once, for about the same duration, in a random
and balanced order. A disturbance that lasts longer than a block therefore affects all arms alike.
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
    """How to time an arm: ``loops`` calls of ``function(argument)`` per sample, samples in ``blocks`` blocks."""

    arm: ArmT
    function: Callable[[Any], object]
    argument: Any
    loops: int
    blocks: int


def plan_arms(calls: Mapping[ArmT, TimedCall], seconds: Mapping[ArmT, float], effort: Effort) -> list[ArmPlan[ArmT]]:
    """The plans of the arms. The first arm is the reference, which is timed in every block.

    ``calls`` and ``seconds`` give the timed call of each arm and its rough seconds per call.
    """
    plans: list[ArmPlan[ArmT]] = []
    for arm, call in calls.items():
        loops = timer.loops_per_sample(seconds[arm])
        affordable = int(effort.seconds_per_arm / (seconds[arm] * loops))
        blocks = max(1, min(effort.max_blocks, affordable, *(plan.blocks for plan in plans[:1])))
        plans.append(ArmPlan(arm, call.function, call.argument, loops, blocks))
    return plans


def balanced_orders(arms: int, random: Random) -> Iterator[list[int]]:
    """An endless series of orders of the arms: the rows of random Latin squares, each row followed by its reverse.

    In a row and its reverse, each of two arms precedes the other once. In a square and its reversed rows, each arm is
    twice at every position. Neither a drift nor the position in a block therefore favours an arm.
    """
    while True:
        rows, columns, names = (random.sample(range(arms), arms) for _ in range(3))
        for row in rows:
            order = [names[(row + column) % arms] for column in columns]
            yield order
            yield order[::-1]


def takes_part(block: int, blocks: int, total: int) -> bool:
    """Whether an arm that is timed in ``blocks`` of ``total`` blocks, evenly spread, is timed in block ``block``."""
    return (block + 1) * blocks // total > block * blocks // total


def time_interleaved(
    plans: Sequence[ArmPlan[ArmT]], random: Random, before: Callable[[ArmT], None] = lambda arm: None
) -> dict[ArmT, list[Sample]]:
    """The samples of each arm, taken in blocks with the garbage collector off.

    ``before`` is called with the next arm before each of its samples, outside the timed interval.
    """
    samples: dict[ArmT, list[Sample]] = {plan.arm: [] for plan in plans}
    total = max(plan.blocks for plan in plans)
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for block, order in zip(range(total), balanced_orders(len(plans), random), strict=False):
            participants = [plans[index] for index in order if takes_part(block, plans[index].blocks, total)]
            for position, plan in enumerate(participants):
                before(plan.arm)
                timer.warm_up(plan.function, plan.argument, plan.loops)
                seconds = timer.time_calls(plan.function, plan.argument, plan.loops)
                samples[plan.arm].append(Sample(block, position, plan.loops, seconds))
    finally:
        if was_enabled:
            gc.enable()
    return samples
