"""Times several arms against each other in one process.

Samples are taken in blocks. In a block, each participating arm is timed once, for about the same duration, in a random
and balanced order. A disturbance that lasts longer than a block therefore affects all arms alike.
"""

from __future__ import annotations

__all__ = ["balanced_orders", "plan_arms", "time_interleaved"]

import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Generic

from pairbench import judged_samples, timer
from pairbench.judged_samples import PreparedSample
from pairbench.worker_protocol import ArmT, Effort, Sample
from pairbench.workload import JudgedSample, SamplePlan, TimedCall


@dataclass(frozen=True)
class ArmPlan(Generic[ArmT]):
    """How to time an arm: ``loops`` calls per sample, samples in ``blocks`` blocks."""

    arm: ArmT
    call: TimedCall
    loops: int
    blocks: int


@dataclass(frozen=True)
class TimedArm:
    """The samples of an arm, and the records of the samples whose calls are judged."""

    samples: list[Sample] = field(default_factory=list)
    records: list[JudgedSample] = field(default_factory=list)


def plan_arms(calls: Mapping[ArmT, TimedCall], seconds: Mapping[ArmT, float], effort: Effort) -> list[ArmPlan[ArmT]]:
    """The plans of the arms. The first arm is the reference, which is timed in every block.

    ``calls`` and ``seconds`` give the timed call of each arm and its rough seconds per call.
    """
    plans: list[ArmPlan[ArmT]] = []
    for arm, call in calls.items():
        loops = judged_samples.most_loops(call, timer.loops_per_sample(seconds[arm]))
        affordable = int(effort.seconds_per_arm / (seconds[arm] * loops))
        blocks = max(1, min(effort.max_blocks, affordable, *(plan.blocks for plan in plans[:1])))
        plans.append(ArmPlan(arm, call, loops, blocks))
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


class Observer(Generic[ArmT]):
    """Is told about each sample. This one does nothing."""

    def preparing(self, arm: ArmT) -> None:
        """The arguments of a sample are about to be drawn."""

    def starting(self, arm: ArmT) -> None:
        """The timing of a sample is about to start."""

    def finished(self, arm: ArmT, seconds: float) -> None:
        """A sample has ended, which took this long by the clock of this process."""


def time_interleaved(
    plans: Sequence[ArmPlan[ArmT]], random: Random, observer: Observer[ArmT] | None = None
) -> dict[ArmT, TimedArm]:
    """Time the arms in blocks with the garbage collector off.

    The arms share the arguments of the judged calls, so that the judge computes each right result once.
    """
    observer = observer or Observer()
    timed = {plan.arm: TimedArm() for plan in plans}
    total = max(plan.blocks for plan in plans)
    seeds = [random.getrandbits(63) for _ in range(judged_samples.JUDGED_CALLS)]
    judged = {
        plan.arm: iter(judged_samples.choose_judged_calls(random, seeds, plan.blocks, plan.loops, plan.call.has_state))
        for plan in plans
    }
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for block, order in zip(range(total), balanced_orders(len(plans), random), strict=False):
            participants = [plans[index] for index in order if takes_part(block, plans[index].blocks, total)]
            for position, plan in enumerate(participants):
                observer.preparing(plan.arm)
                sample_plan = SamplePlan(random.getrandbits(63), plan.loops, next(judged[plan.arm]))
                sample = PreparedSample(plan.call, sample_plan)
                observer.starting(plan.arm)
                taken = sample.time()
                observer.finished(plan.arm, taken.total_seconds)
                record = sample.record()
                timed[plan.arm].samples.append(Sample(block, position, plan.loops, taken.seconds))
                if sample_plan.judged:
                    timed[plan.arm].records.append(record)
    finally:
        if was_enabled:
            gc.enable()
    return timed
