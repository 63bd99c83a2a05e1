"""Measures what distribution costs on a cluster of two worker processes on this machine."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np

import impls
from bench.records.scale_out_schema import CostsRecord
from bench.scale_out import data, methods

WORKERS = 2
FEW, MANY = 2, 200
"""Partitions of one sample each."""
CHAIN = 100
"""Tasks in a chain, each of which waits for the one before."""
LARGE = 2**25
"""Bytes of an array that is sent to a worker to measure the bandwidth."""
REPEATS = 5


def measure_costs(sample_seconds: float) -> CostsRecord:
    """Start a cluster and measure. ``sample_seconds`` are those of one process without Dask."""
    with methods.cluster(WORKERS) as client:
        model = impls.load("dask_data_parallel").build(data.NETWORK, methods.initial())

        def epoch(partitions: int) -> Callable[[], object]:
            X, Y = data.dask_arrays(partitions, 1)
            return lambda: model.train(X, Y, epochs=1, learning_rate=methods.LEARNING_RATE)

        def chain() -> None:
            future = client.submit(_next, 0, pure=False)
            for _ in range(CHAIN - 1):
                future = client.submit(_next, future, pure=False)
            future.result()

        def broadcast() -> None:
            client.scatter([model.parameters()], broadcast=True, hash=False)

        def send() -> None:
            client.scatter([np.zeros(LARGE // 8)], hash=False)

        fixed, many = _seconds(epoch(FEW)), _seconds(epoch(MANY))
        return CostsRecord(
            workers=WORKERS,
            fixed_seconds=fixed,
            partition_seconds=max((many - fixed) / (MANY - FEW), 1e-9),
            latency_seconds=_seconds(chain) / CHAIN,
            broadcast_seconds=_seconds(broadcast),
            bytes_per_second=LARGE / _seconds(send),
            sample_seconds=sample_seconds,
        )


def _next(number: int) -> int:
    return number + 1


def _seconds(run: Callable[[], object]) -> float:
    """The median seconds of a call, after one that is not counted."""
    run()
    times = []
    for _ in range(REPEATS):
        begun = perf_counter()
        run()
        times.append(perf_counter() - begun)
    return median(times)
