"""Converts a measurement into the rows of a document."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bench.arms import Arm
from bench.case_measurement import CaseMeasurement
from bench.records.sample_table import SampleTable
from bench.records.schema import (
    CompileRow,
    ConditionsRecord,
    PoolRecord,
    ProcessRecord,
    Ratio,
    SampleRecord,
    TimingRow,
)
from bench.roofline.lower_bound import MachineLimits, lower_bound
from pairbench.measure import AA_CONTROL, Measurement
from pairbench.worker_protocol import TimedGroup


def timing_rows(
    measurement: CaseMeasurement, order: Sequence[str], limits: MachineLimits | None = None
) -> list[TimingRow]:
    """A row for every arm. Within a group, rows follow the ``order`` of the backends, and the A/A control is last."""
    table = SampleTable(process_records(measurement), {(arm.case, arm.name) for arm in measurement.failures})
    return [
        _timing_row(arm, group[0], measurement, table, limits)
        for group in measurement.groups
        for arm in sorted(group, key=lambda arm: (arm.name == AA_CONTROL, order.index(arm.backend), arm.name))
    ]


def compile_rows(measurement: CaseMeasurement) -> list[CompileRow]:
    """A row for every backend whose compile time was measured."""
    return [
        CompileRow(backend=times.backend, network=times.network, cold_seconds=times.cold, cached_seconds=times.cached)
        for times in measurement.compile_times
    ]


def process_records(measurement: Measurement[Arm]) -> list[ProcessRecord]:
    """A record for every process, with its samples and its conditions."""
    return [
        ProcessRecord(
            seed=process.seed,
            conditions=[ConditionsRecord(**asdict(conditions)) for conditions in process.conditions],
            pools=[PoolRecord(**asdict(pool)) for pool in process.pools],
            samples=[record for timed in process.timed for record in _sample_records(timed)],
        )
        for process in measurement.processes
    ]


def _timing_row(
    arm: Arm, reference: Arm, measurement: CaseMeasurement, table: SampleTable, limits: MachineLimits | None
) -> TimingRow:
    evidence: Any = measurement.evidence.get(arm)
    failure = measurement.failures.get(arm)
    speedup = table.ratio((reference.case, reference.name), (arm.case, arm.name))
    seconds = table.seconds((arm.case, arm.name))
    bound = lower_bound(arm.case, limits) if limits else None
    return TimingRow(
        backend=arm.backend,
        arm=arm.name,
        reference=reference.backend,
        **arm.case.fields(),
        seconds=seconds,
        speedup=Ratio(**asdict(speedup)) if speedup else None,
        ulps=_finite(evidence.ulps) if evidence else None,
        share=_finite(evidence.share) if evidence else None,
        lower_bound_seconds=bound,
        roofline_share=bound / seconds if bound is not None and seconds is not None else None,
        ok=failure is None,
        reason=measurement.unsupported.get(arm, "") if failure is None else failure,
        remarks=measurement.remarks.get(arm, []),
    )


def _sample_records(timed: TimedGroup[Arm]) -> list[SampleRecord]:
    return [
        SampleRecord(
            **arm.case.fields(),
            arm=arm.name,
            loops=samples[0].loops,
            block=[sample.block for sample in samples],
            position=[sample.position for sample in samples],
            seconds=[sample.seconds for sample in samples],
        )
        for arm, samples in timed.samples.items()
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
