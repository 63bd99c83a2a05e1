"""Simulates an epoch on a cluster of any size from measured costs, as a sequence of events.

The model of the cluster:

- The client sends the parameters to the workers. In each round, every worker that has them passes them on to two more.
- One scheduler hands out one task after another, which takes it the same time for each, and first those tasks that are
  ready and nearest to the result.
- A worker computes one task at a time. A partition takes the time of its samples. A node of the tree fetches its inputs
  one after another, each with the latency and its bytes at the measured bandwidth.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

from bench.records.scale_out_schema import BreakEvenRow, CostsRecord, SimulatedRow
from bench.scale_out.data import NETWORK

WORKERS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SAMPLES = (10**6, 10**7, 10**8, 10**9)
BREAK_EVENS = (2, 10, 100, 1000)
FAN_IN = 8
"""Inputs of a node of the tree, as in ``dask_data_parallel``."""
COPIES = 2
"""Workers to which a worker passes the parameters on in one round, as in Dask."""
MOST_SAMPLES, MOST_PARTITIONS = 2**30, 4000
"""Limits of a simulation, so that it is short: samples of a break-even point, and partitions, which grow instead."""
GRADIENT_BYTES = 8 * (1 + sum((n_in + 1) * n_out for n_in, n_out in NETWORK.shapes))
"""The loss and the gradient of a partition; the parameters take as many bytes, but for the loss."""


def epoch_seconds(samples: int, workers: int, rows: int, costs: CostsRecord) -> float:
    """The simulated seconds of an epoch on partitions of ``rows`` samples."""
    levels = _levels(math.ceil(samples / rows))
    waiting = [[min(FAN_IN, below - FAN_IN * node) for node in range(level)] for below, level in _steps(levels)]
    transfer = costs.latency_seconds + GRADIENT_BYTES / costs.bytes_per_second
    clock = costs.fixed_seconds + _broadcast_seconds(workers, costs)
    ready: deque[tuple[int, int]] = deque()  # (level, node)
    partitions, idle = iter(range(levels[0])), workers
    running: list[tuple[float, int, int]] = []  # (end, level, node)
    while True:
        task = None
        if idle:
            task = ready.popleft() if ready else next(((0, partition) for partition in partitions), None)
        if task is not None:
            idle -= 1
            level, node = task
            clock += costs.partition_seconds
            count = min(rows, samples - rows * node) if level == 0 else 0
            inputs = min(FAN_IN, levels[level - 1] - FAN_IN * node) if level else 0
            heapq.heappush(running, (clock + count * costs.sample_seconds + inputs * transfer, level, node))
            continue
        end, level, node = heapq.heappop(running)
        clock, idle = max(clock, end), idle + 1
        if level == len(levels) - 1:
            return clock
        waiting[level][node // FAN_IN] -= 1
        if not waiting[level][node // FAN_IN]:
            ready.append((level + 1, node // FAN_IN))


def simulated_rows(costs: CostsRecord, rows: int) -> list[SimulatedRow]:
    """The curve: all numbers of samples and of workers.

    A partition has ``rows`` samples, or fewer where there are more workers than such partitions.
    """
    return [_simulated(samples, workers, rows, costs) for samples in SAMPLES for workers in WORKERS]


def break_even_rows(costs: CostsRecord, rows: int) -> list[BreakEvenRow]:
    """The smallest power of two of samples from which each size of cluster is faster than one process without Dask."""
    return [BreakEvenRow(workers=workers, samples=_break_even(workers, rows, costs)) for workers in BREAK_EVENS]


def _simulated(samples: int, workers: int, rows: int, costs: CostsRecord) -> SimulatedRow:
    rows = max(min(rows, math.ceil(samples / workers)), math.ceil(samples / MOST_PARTITIONS))
    seconds = epoch_seconds(samples, workers, rows, costs)
    speedup = samples * costs.sample_seconds / seconds
    return SimulatedRow(samples=samples, workers=workers, partition_rows=rows, seconds=seconds, speedup=speedup)


def _break_even(workers: int, rows: int, costs: CostsRecord) -> int | None:
    samples = workers
    while samples <= MOST_SAMPLES:
        if _simulated(samples, workers, rows, costs).speedup > 1:
            return samples
        samples *= 2
    return None


def _broadcast_seconds(workers: int, costs: CostsRecord) -> float:
    """One round takes the measured time of a broadcast, in which COPIES transfers take their bytes."""
    rounds = math.ceil(math.log(workers, 1 + COPIES)) if workers > 1 else 0
    return rounds * (costs.latency_seconds + COPIES * GRADIENT_BYTES / costs.bytes_per_second)


def _levels(partitions: int) -> list[int]:
    """The number of tasks on each level of the tree, the partitions first; the last level is the result."""
    levels = [partitions]
    while levels[-1] > 1 or len(levels) == 1:
        levels.append(math.ceil(levels[-1] / FAN_IN))
    return levels


def _steps(levels: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(levels))
