"""From what was measured to the rows of a document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.records.schema import (
    CompileRow,
    ConditionsRecord,
    LimitRow,
    PoolRecord,
    ProcessRecord,
    Ratio,
    SampleRecord,
    TimingRow,
)
from bench.roofline.lower_bound import MachineLimits, lower_bound
from pairbench import statistics
from pairbench.measure import AA, Measurement
from pairbench.worker_protocol import Arm, TimedGroup


def timing_rows(measurement: Measurement, order: Sequence[str], limits: MachineLimits | None = None) -> list[TimingRow]:
    """A row for every arm of every group; within a group by the backends in ``order``, the A/A arm last."""
    return [
        _row(arm, group[0], measurement, limits)
        for group in measurement.groups
        for arm in sorted(group, key=lambda arm: (arm.name == AA, order.index(arm.backend), arm.name))
    ]


def compile_rows(measurement: Measurement) -> list[CompileRow]:
    """A row for every backend whose compiling was timed."""
    return [
        CompileRow(
            backend=one.backend,
            network=one.network,
            cold_seconds=one.cold,
            cached_seconds=one.cached,
        )
        for one in measurement.compile_times
    ]


def limit_rows(limits: MachineLimits) -> list[LimitRow]:
    """A row for every probe."""

    def row(what: Any, detail: str, dtype: str | None, rate: float) -> LimitRow:
        return LimitRow(what=what, detail=detail, dtype=dtype, per_second=rate)

    return [
        *(row("products", detail, dtype, rate) for (dtype, detail), rate in limits.products.items()),
        *(row("exponentials", "", dtype, rate) for dtype, rate in limits.exponentials.items()),
        *(row("reading", f"{size} bytes", None, rate) for size, rate in limits.reading.items()),
        *(row("calls", detail, dtype, rate) for (dtype, detail), rate in limits.calls.items()),
    ]


def process_records(measurement: Measurement) -> list[ProcessRecord]:
    """Every sample, by process, with the conditions."""
    return [
        ProcessRecord(
            seed=process.seed,
            conditions=[ConditionsRecord(**asdict(conditions)) for conditions in process.conditions],
            pools=[PoolRecord(**asdict(pool)) for pool in process.pools],
            samples=[record for timed in process.timed for record in _samples(timed)],
        )
        for process in measurement.processes
    ]


def _row(arm: Arm, reference: Arm, measurement: Measurement, limits: MachineLimits | None) -> TimingRow:
    evidence = measurement.evidence.get(arm)
    failure = measurement.failures.get(arm)
    own = block_seconds(arm, measurement)
    pairs = zip(block_seconds(reference, measurement), own, strict=True)
    speedup = statistics.ratio_interval([statistics.log_ratios(*pair) for pair in pairs])
    seconds = statistics.median_seconds([list(process.values()) for process in own])
    least = lower_bound(arm.case, limits) if limits else None
    return TimingRow(
        backend=arm.backend,
        arm=arm.name,
        reference=reference.backend,
        **arm.case.fields(),
        seconds=seconds,
        speedup=Ratio(**asdict(speedup)) if speedup else None,
        ulps=_finite(evidence.ulps) if evidence else None,
        share=_finite(evidence.share) if evidence else None,
        floor_seconds=least,
        limit_share=least / seconds if least is not None and seconds is not None else None,
        ok=failure is None,
        reason=measurement.lacking.get(arm, "") if failure is None else failure,
    )


def block_seconds(arm: Arm, measurement: Measurement) -> list[dict[int, float]]:
    """Seconds by block, for each process; none of an arm that failed."""
    failed = arm in measurement.failures
    return [
        {
            sample.block: sample.seconds
            for timed in process.timed
            for sample in (() if failed else timed.samples.get(arm, ()))
        }
        for process in measurement.processes
    ]


def _samples(timed: TimedGroup) -> list[SampleRecord]:
    return [
        SampleRecord(
            arm=arm.name,
            operation=arm.case.operation,
            network=str(arm.case.network),
            batch=arm.case.batch,
            dtype=arm.case.dtype,
            loops=taken[0].loops,
            block=[sample.block for sample in taken],
            position=[sample.position for sample in taken],
            seconds=[sample.seconds for sample in taken],
        )
        for arm, taken in timed.samples.items()
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
