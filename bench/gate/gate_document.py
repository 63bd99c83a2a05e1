"""Makes the gate's document from measured rounds: the rows, the verdict, and notes on a noisy machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import psutil

from bench.gate.row_plans import BackendCase
from bench.records.gate_schema import (
    Cause,
    Gate,
    GateRow,
    GateState,
    RevisionRecord,
    RoundRecord,
    Session,
    SlowProcessesRecord,
)
from bench.records.header import header
from bench.records.remarks import remarks
from bench.records.schema import ConditionsRecord, Ratio
from pairbench import measurement_loop, statistics, verdict_reasons
from pairbench.machine import Conditions
from pairbench.measurement_loop import GateTask
from pairbench.sequential_test import Estimate, Judgement, RoundChange, Verdict
from pairbench.worktrees import Revision


def gate_document(
    *,
    started: str,
    options: dict[str, Any],
    head: Revision,
    base: Revision | None,
    rows: Sequence[GateRow],
    notes: Sequence[str],
    conditions: Conditions,
    rounds: Sequence[RoundRecord],
    session: Session | None = None,
) -> Gate:
    """The gate's document, with the overall verdict and notes on a noisy machine."""
    header_fields = header("gate", started)
    circumstances = remarks(header_fields["machine"])
    if (other := header_fields["source"].other_checkout) is not None:
        circumstances.append(
            f"The revisions are those of {other}; the gate is that of {header_fields['source'].folder}."
        )
    offsets = [row.aa_ratio.estimate for row in rows if row.aa_ratio is not None]
    return Gate(
        **header_fields,
        options=options,
        verdict=overall_verdict(rows),
        head=revision_record(head),
        base=None if base is None else revision_record(base),
        rows=list(rows),
        notes=[*notes, *verdict_reasons.noise_notes(offsets, conditions, psutil.cpu_count() or 1), *circumstances],
        conditions=ConditionsRecord(**asdict(conditions)),
        rounds=list(rounds),
        session=session,
    )


def revision_record(revision: Revision) -> RevisionRecord:
    """The record of a revision."""
    return RevisionRecord(title=revision.title, commit=revision.commit, digest=revision.digest)


def overall_verdict(rows: Sequence[GateRow]) -> Verdict:
    """The overall verdict: the worst verdict of a row."""
    worst_first: tuple[Verdict, ...] = ("FAIL", "INCONCLUSIVE")
    return next((verdict for verdict in worst_first if any(row.verdict == verdict for row in rows)), "PASS")


def revision_row(
    row: BackendCase, state: GateState, task: GateTask, failures: Mapping[str, str], end_reason: str
) -> GateRow:
    """The row of a backend at a case; ``end_reason`` explains why the measurement ended before a decision."""
    key, reference = row.key, task.references[row.key]
    judgement = measurement_loop.row_judgement(state, task, key)
    times = [record.seconds[key] for record in state.rounds if key in record.seconds]
    verdict, reason = verdict_reasons.explain(judgement, failures, task.threshold, end_reason)
    changes, reference_changes = (measurement_loop.round_changes(state, row_key) for row_key in (key, reference))
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=measurement_loop.side_seconds(times, ("base", "control")),
        head_seconds=measurement_loop.side_seconds(times, ("head",)),
        change=None if failures else _ratio(judgement.change),
        typical_change=None if failures or judgement.typical is None else math.exp(judgement.typical),
        speedup_change=None if failures else _interval(_speedup_changes(state, key, reference)),
        aa_ratio=None if failures else _ratio(judgement.offset),
        slow_processes=None if failures else _slow_processes(judgement),
        minimum_detectable_effect=None if failures or judgement.detectable is None else math.exp(judgement.detectable),
        rounds=judgement.rounds,
        confirming_rounds=judgement.confirming_rounds,
        changed_times=[] if failures else _changed_times(changes, reference_changes),
    )


def row_without_figures(row: BackendCase, verdict: Verdict, reason: str) -> GateRow:
    """The row of a backend at a case, without figures."""
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=None,
        head_seconds=None,
        change=None,
        typical_change=None,
        speedup_change=None,
        aa_ratio=None,
        slow_processes=None,
        minimum_detectable_effect=None,
        rounds=0,
        confirming_rounds=None,
        changed_times=[],
    )


def _ratio(estimate: Estimate | None) -> Ratio | None:
    if estimate is None:
        return None
    return Ratio(estimate=math.exp(estimate.mean), low=math.exp(estimate.low), high=math.exp(estimate.high))


def _slow_processes(judgement: Judgement) -> SlowProcessesRecord | None:
    slow = judgement.slow
    return None if slow is None else SlowProcessesRecord(head=slow.head, base=slow.base, rounds=slow.rounds)


def _changed_times(own: Sequence[RoundChange], reference: Sequence[RoundChange]) -> list[Cause]:
    """Which times changed significantly: the backend's, the reference's, or, from base to control, the machine's."""
    series: dict[Cause, list[float]] = {
        "backend": [change.change for change in own],
        "reference": [change.change for change in reference],
        "machine": [change.offset for change in own],
    }
    return [cause for cause, values in series.items() if _is_significant(values)]


def _is_significant(values: Sequence[float]) -> bool:
    ratio = _interval(values)
    if ratio is None or ratio.low is None or ratio.high is None:
        return False
    return abs(ratio.estimate - 1) > verdict_reasons.NOISY_OFFSET / 2 and not ratio.low <= 1 <= ratio.high


def _speedup_changes(state: GateState, key: str, reference: str) -> list[float]:
    """Logarithms of head speedup ÷ base speedup, from the rounds that timed both the row and the reference."""
    both = [record.seconds for record in state.rounds if key in record.seconds and reference in record.seconds]
    change = measurement_loop.round_change
    return [change(seconds[reference]).change - change(seconds[key]).change for seconds in both]


def _interval(logarithms: Sequence[float]) -> Ratio | None:
    interval = statistics.ratio_interval([[value] for value in logarithms])
    return None if interval is None else Ratio.of(interval)
