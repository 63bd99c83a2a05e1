"""From what was measured to the rows of the gate's document, the verdict and what a reader should know beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from bench.gate import comparison
from bench.gate.comparison import GateTask
from bench.gate.revision import PreparedGate
from bench.records.gate_schema import Cause, GateRow, GateState, Verdict
from bench.records.schema import Ratio
from bench.selection import REFERENCE
from pairbench import statistics
from pairbench.machine import Conditions
from pairbench.rounds import BackendCase
from pairbench.sequential_test import MIN_ROUNDS, Judgement, RoundChange

OFFSET, STEAL, OTHERS = 0.02, 0.02, 0.1
"""From here on the machine is called noisy: by how much equal things differ; shares of time that others took."""


def overall_verdict(rows: Sequence[GateRow]) -> Verdict:
    """The verdict on all rows: that of the worst."""
    worst: tuple[Verdict, ...] = ("FAIL", "INCONCLUSIVE")
    return next((one for one in worst if any(row.verdict == one for row in rows)), "PASS")


def gate_rows(state: GateState, prepared: PreparedGate, cut: str) -> list[GateRow]:
    """The rows of the document; ``cut`` says what ended the measuring of those that are not decided."""
    return [_row(state, prepared, row, cut) for row in prepared.rows]


def noise_notes(rows: Sequence[GateRow], conditions: Conditions, cpus: int) -> list[str]:
    """Lines that say what was noisy."""
    found = []
    offsets = [abs(row.offset - 1) for row in rows if row.offset is not None]
    if offsets and max(offsets) > OFFSET:
        found.append(f"the base differs from itself by up to {max(offsets):.1%}")
    stolen = (conditions.steal_seconds or 0.0) / (conditions.wall_seconds * cpus or 1.0)
    if stolen > STEAL:
        found.append(f"{stolen:.1%} of the time was stolen by other machines")
    others = (conditions.other_cpus or 0.0) / cpus
    if others > OTHERS:
        found.append(f"other processes took {others:.0%} of the CPUs' time")
    return [f"This machine is noisy: {'; '.join(found)}."] if found else []


def _row(state: GateState, prepared: PreparedGate, row: BackendCase, cut: str) -> GateRow:
    task, key, beside = prepared.task, row.key, row.of(REFERENCE).key
    failures = {"head": prepared.wrong[key]} if key in prepared.wrong else state.failures.get(key, {})
    judged = comparison.row_judgement(state, task, key)
    times = [one.seconds[key] for one in state.sets if key in one.seconds]
    final: Verdict
    if "head" in failures:
        final, reason = "FAIL", f"the head fails: {failures['head']}"
    elif failures:
        final, reason = "INCONCLUSIVE", f"the base fails: {next(iter(failures.values()))}"
    else:
        final, reason = judged.verdict, _reason(judged, task, cut)
    return GateRow(
        **row.case.fields(),
        backend=row.backend,
        verdict=final,
        reason=reason,
        base_seconds=_seconds(times, ("base", "again")),
        head_seconds=_seconds(times, ("head",)),
        change=None if failures else change_ratio(judged),
        speedup_change=None if failures else _interval(_speedup_changes(state, key, beside)),
        offset=None if failures or judged.offset is None else math.exp(judged.offset),
        detectable=None if failures or judged.detectable is None else math.exp(judged.detectable),
        sets=judged.sets,
        confirming=judged.confirming,
        moved=[] if failures else _moved(comparison.round_changes(state, key), comparison.round_changes(state, beside)),
    )


def _reason(judged: Judgement, task: GateTask, cut: str) -> str:
    if judged.verdict == "FAIL":
        return f"slower by more than {task.threshold:.1%}, and again in {judged.confirming} fresh sets"
    if judged.verdict == "PASS" and judged.confirming is not None:
        return "a first suspicion was not confirmed"
    if judged.verdict == "PASS":
        gained = judged.estimate is not None and judged.estimate < -math.log1p(task.threshold)
        return f"faster by more than {task.threshold:.1%}" if gained and (judged.high or 0.0) < 0 else ""
    if judged.confirming is not None:
        return f"suspected, and {cut} before {MIN_ROUNDS} fresh sets confirmed it or more disproved it"
    if judged.sets < MIN_ROUNDS:
        return f"{cut} after {judged.sets} of the {MIN_ROUNDS} sets that a verdict takes"
    return f"{cut} with {task.threshold:.1%} inside the interval, or a slowdown that is not certain"


def _moved(own: Sequence[RoundChange], reference: Sequence[RoundChange]) -> list[Cause]:
    """Which times changed for certain: this backend's, the reference's, or the base's between its two checkouts."""
    series: dict[Cause, list[float]] = {
        "backend": [pair.change for pair in own],
        "reference": [pair.change for pair in reference],
        "machine": [pair.offset for pair in own],
    }
    return [cause for cause, values in series.items() if _is_off(values)]


def _is_off(values: Sequence[float]) -> bool:
    found = _interval(values)
    if found is None or found.low is None or found.high is None:
        return False
    return abs(found.estimate - 1) > OFFSET / 2 and not found.low <= 1 <= found.high


def _speedup_changes(state: GateState, key: str, beside: str) -> list[float]:
    """Logarithms of speedup of the head ÷ speedup of the base, from the sets that have the reference, too."""
    both = [one.seconds for one in state.sets if key in one.seconds and beside in one.seconds]
    return [
        comparison.round_change(seconds[beside]).change - comparison.round_change(seconds[key]).change
        for seconds in both
    ]


def _interval(logarithms: Sequence[float]) -> Ratio | None:
    found = statistics.ratio_interval([[value] for value in logarithms])
    return None if found is None else Ratio(estimate=found.estimate, low=found.low, high=found.high)


def change_ratio(judged: Judgement) -> Ratio | None:
    """A judgement's change as a ratio with its interval, None where there is none yet."""
    if judged.estimate is None or judged.low is None or judged.high is None:
        return None
    return Ratio(estimate=math.exp(judged.estimate), low=math.exp(judged.low), high=math.exp(judged.high))


def _seconds(times: Sequence[Mapping[str, Sequence[float]]], sides: Sequence[str]) -> float | None:
    medians = [fmean(median(one[side]) for side in sides) for one in times]
    return median(medians) if medians else None
