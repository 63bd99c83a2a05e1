"""From measured rounds to the gate's document: the rows, the verdict, and what was noisy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, median
from typing import Any

import psutil

from bench.gate import comparison
from bench.gate.comparison import GateTask
from bench.gate.rows import BackendCase
from bench.records.gate_schema import Cause, Gate, GateRow, GateState, RevisionRecord, RoundRecord
from bench.records.header import header
from bench.records.schema import ConditionsRecord, Ratio
from bench.selection import REFERENCE
from pairbench import statistics
from pairbench.machine import Conditions
from pairbench.sequential_test import MIN_ROUNDS, Judgement, RoundChange, Verdict
from pairbench.worktrees import Revision

NOISY_OFFSET, NOISY_STEAL, NOISY_OTHERS = 0.02, 0.02, 0.1
"""From here on the machine is called noisy: an A/A offset; shares of the CPUs' time that others took."""


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
) -> Gate:
    """The gate's document, with the verdict on all rows and what was noisy."""
    return Gate(
        **header("gate", started),
        options=options,
        verdict=overall_verdict(rows),
        head=revision_record(head),
        base=None if base is None else revision_record(base),
        rows=list(rows),
        notes=[*notes, *noise_notes(rows, conditions, psutil.cpu_count() or 1)],
        conditions=ConditionsRecord(**asdict(conditions)),
        rounds=list(rounds),
    )


def revision_record(of: Revision) -> RevisionRecord:
    """A revision as documents name it."""
    return RevisionRecord(title=of.title, commit=of.commit, digest=of.digest)


def overall_verdict(rows: Sequence[GateRow]) -> Verdict:
    """The verdict on all rows: that of the worst."""
    worst: tuple[Verdict, ...] = ("FAIL", "INCONCLUSIVE")
    return next((one for one in worst if any(row.verdict == one for row in rows)), "PASS")


def noise_notes(rows: Sequence[GateRow], conditions: Conditions, cpus: int) -> list[str]:
    """Lines that say what was noisy."""
    found = []
    offsets = [abs(row.aa_ratio - 1) for row in rows if row.aa_ratio is not None]
    if offsets and max(offsets) > NOISY_OFFSET:
        found.append(f"the base differs from itself by up to {max(offsets):.1%}")
    stolen = (conditions.steal_seconds or 0.0) / (conditions.wall_seconds * cpus or 1.0)
    if stolen > NOISY_STEAL:
        found.append(f"{stolen:.1%} of the time was stolen by other machines")
    others = (conditions.other_cpus or 0.0) / cpus
    if others > NOISY_OTHERS:
        found.append(f"other processes took {others:.0%} of the CPUs' time")
    return [f"This machine is noisy: {'; '.join(found)}."] if found else []


def revision_row(row: BackendCase, state: GateState, task: GateTask, failures: Mapping[str, str], cut: str) -> GateRow:
    """The row of a backend at a case; ``cut`` says what ended the measuring where it is not decided."""
    key, reference = row.key, row.of(REFERENCE).key
    judged = comparison.row_judgement(state, task, key)
    times = [one.seconds[key] for one in state.rounds if key in one.seconds]
    verdict: Verdict
    if "head" in failures:
        verdict, reason = "FAIL", f"the head fails: {failures['head']}"
    elif failures:
        verdict, reason = "INCONCLUSIVE", f"the base fails: {next(iter(failures.values()))}"
    else:
        verdict, reason = judged.verdict, _reason(judged, task, cut)
    changes, reference_changes = (comparison.round_changes(state, one) for one in (key, reference))
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=verdict,
        reason=reason,
        base_seconds=_seconds(times, ("base", "control")),
        head_seconds=_seconds(times, ("head",)),
        change=None if failures else change_ratio(judged),
        speedup_change=None if failures else _interval(_speedup_changes(state, key, reference)),
        aa_ratio=None if failures or judged.offset is None else math.exp(judged.offset),
        minimum_detectable_effect=None if failures or judged.detectable is None else math.exp(judged.detectable),
        rounds=judged.rounds,
        confirming_rounds=judged.confirming_rounds,
        changed_times=[] if failures else _changed_times(changes, reference_changes),
    )


def change_ratio(judged: Judgement) -> Ratio | None:
    """A judgement's change as a ratio with its interval, None where there is none yet."""
    if judged.estimate is None or judged.low is None or judged.high is None:
        return None
    return Ratio(estimate=math.exp(judged.estimate), low=math.exp(judged.low), high=math.exp(judged.high))


def _reason(judged: Judgement, task: GateTask, cut: str) -> str:
    if judged.verdict == "FAIL":
        return f"slower by more than {task.threshold:.1%}, confirmed in {judged.confirming_rounds} later rounds"
    if judged.verdict == "PASS" and judged.confirming_rounds is not None:
        return "a first suspicion was not confirmed"
    if judged.verdict == "PASS":
        gained = judged.estimate is not None and judged.estimate < -math.log1p(task.threshold)
        return f"faster by more than {task.threshold:.1%}" if gained and (judged.high or 0.0) < 0 else ""
    if judged.confirming_rounds is not None:
        return f"suspected; {cut} before {MIN_ROUNDS} or more later rounds confirmed or refuted it"
    if judged.rounds < MIN_ROUNDS:
        return f"{cut} after {judged.rounds} of the {MIN_ROUNDS} rounds that a verdict takes"
    return f"{cut} with {task.threshold:.1%} inside the interval, or with a slowdown that is not significant"


def _changed_times(own: Sequence[RoundChange], reference: Sequence[RoundChange]) -> list[Cause]:
    """Which times changed significantly: this backend's, the reference's, or the base's between its two worktrees."""
    series: dict[Cause, list[float]] = {
        "backend": [one.change for one in own],
        "reference": [one.change for one in reference],
        "machine": [one.offset for one in own],
    }
    return [cause for cause, values in series.items() if _is_significant(values)]


def _is_significant(values: Sequence[float]) -> bool:
    found = _interval(values)
    if found is None or found.low is None or found.high is None:
        return False
    return abs(found.estimate - 1) > NOISY_OFFSET / 2 and not found.low <= 1 <= found.high


def _speedup_changes(state: GateState, key: str, reference: str) -> list[float]:
    """Logarithms of speedup of the head ÷ speedup of the base, from the rounds that have the reference, too."""
    both = [one.seconds for one in state.rounds if key in one.seconds and reference in one.seconds]
    change = comparison.round_change
    return [change(seconds[reference]).change - change(seconds[key]).change for seconds in both]


def _interval(logarithms: Sequence[float]) -> Ratio | None:
    found = statistics.ratio_interval([[value] for value in logarithms])
    return None if found is None else Ratio.of(found)


def _seconds(times: Sequence[Mapping[str, Sequence[float]]], sides: Sequence[str]) -> float | None:
    medians = [fmean(median(one[side]) for side in sides) for one in times]
    return median(medians) if medians else None
