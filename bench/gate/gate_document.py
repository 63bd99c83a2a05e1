"""Makes the gate's document from measured rounds: the rows, the verdict, and notes on a noisy machine."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import Any

import psutil

from bench.gate import measurement_loop
from bench.gate.measurement_loop import GateTask
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
from bench.wording import counted, in_percent
from pairbench import sequential_test, statistics
from pairbench.machine import Conditions, signs_of_load
from pairbench.sequential_test import Estimate, Judgement, RoundChange, Verdict
from pairbench.worktrees import Revision

NOISY_OFFSET = 0.02
"""A/A offset above which the machine counts as noisy."""


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
    return Gate(
        **header_fields,
        options=options,
        verdict=overall_verdict(rows),
        head=revision_record(head),
        base=None if base is None else revision_record(base),
        rows=list(rows),
        notes=[*notes, *noise_notes(rows, conditions, psutil.cpu_count() or 1), *circumstances],
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


def noise_notes(rows: Sequence[GateRow], conditions: Conditions, cpus: int) -> list[str]:
    """A note that lists the signs of noise; empty if there are none."""
    signs = []
    offsets = [abs(row.aa_ratio.estimate - 1) for row in rows if row.aa_ratio is not None]
    if offsets and max(offsets) > NOISY_OFFSET:
        signs.append(f"base and control differ by up to {in_percent(max(offsets), 1)}")
    signs += signs_of_load([conditions], cpus)
    if conditions.throttled_seconds:
        share = conditions.throttled_seconds / conditions.wall_seconds
        signs.append(f"the CPU quota stopped it for {in_percent(share)} of the time")
    return [f"This machine is noisy: {'; '.join(signs)}."] if signs else []


def revision_row(
    row: BackendCase, state: GateState, task: GateTask, failures: Mapping[str, str], end_reason: str
) -> GateRow:
    """The row of a backend at a case; ``end_reason`` explains why the measurement ended before a decision."""
    key, reference = row.key, task.references[row.key]
    judgement = measurement_loop.row_judgement(state, task, key)
    times = [record.seconds[key] for record in state.rounds if key in record.seconds]
    verdict: Verdict
    if "head" in failures and failures["head"] == failures.get("base"):
        verdict, reason = "INCONCLUSIVE", f"head and base fail alike: {failures['head']}"
    elif "head" in failures:
        verdict, reason = "FAIL", f"the head fails: {failures['head']}"
    elif failures:
        verdict, reason = "INCONCLUSIVE", f"the base fails: {next(iter(failures.values()))}"
    else:
        verdict, reason = judgement.verdict, _reason(judgement, task, end_reason)
    changes, reference_changes = (measurement_loop.round_changes(state, row_key) for row_key in (key, reference))
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=_seconds(times, ("base", "control")),
        head_seconds=_seconds(times, ("head",)),
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


def _reason(judgement: Judgement, task: GateTask, end_reason: str) -> str:
    if judgement.checkouts_differ:
        return "two checkouts of the base differ significantly, so a change cannot be attributed to the head"
    if judgement.verdict == "FAIL":
        typical, most = (in_percent(change, 1) for change in (math.expm1(judgement.typical or 0.0), task.threshold))
        later = counted(judgement.confirming_rounds or 0, "later round")
        return f"significantly slower, typically by {typical}, which is more than {most}; confirmed in {later}"
    if judgement.verdict == "PASS" and judgement.confirming_rounds is not None:
        return "a suspected regression was not confirmed"
    if judgement.verdict == "PASS":
        change = judgement.change
        is_faster = change is not None and change.mean < -math.log1p(task.threshold) and change.high < 0
        return f"faster by more than {in_percent(task.threshold, 1)}" if is_faster else ""
    if judgement.confirming_rounds is not None:
        later = f"{sequential_test.MIN_ROUNDS} or more later rounds"
        return f"a regression is suspected; {end_reason} before {later} confirmed or refuted it"
    if judgement.rounds < sequential_test.PASS_ROUNDS:
        return f"{end_reason} after {judgement.rounds} of the {sequential_test.PASS_ROUNDS} rounds that a PASS needs"
    if judgement.slow is not None and judgement.slow.are_the_heads:
        return f"{end_reason}; some processes of the head are slow for their whole life"
    return f"{end_reason}; the interval contains {in_percent(task.threshold, 1)}, or the slowdown is not significant"


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
    return abs(ratio.estimate - 1) > NOISY_OFFSET / 2 and not ratio.low <= 1 <= ratio.high


def _speedup_changes(state: GateState, key: str, reference: str) -> list[float]:
    """Logarithms of head speedup ÷ base speedup, from the rounds that timed both the row and the reference."""
    both = [record.seconds for record in state.rounds if key in record.seconds and reference in record.seconds]
    change = measurement_loop.round_change
    return [change(seconds[reference]).change - change(seconds[key]).change for seconds in both]


def _interval(logarithms: Sequence[float]) -> Ratio | None:
    interval = statistics.ratio_interval([[value] for value in logarithms])
    return None if interval is None else Ratio.of(interval)


def _seconds(times: Sequence[Mapping[str, Sequence[float]]], sides: Sequence[str]) -> float | None:
    medians = [fmean(median(by_side[side]) for side in sides) for by_side in times]
    return median(medians) if medians else None
