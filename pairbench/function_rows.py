"""The report of the gate for functions: a row for each function, with its verdict, and where its code came from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import psutil

from pairbench import machine, measurement_loop, results_check, verdict_reasons
from pairbench.function_workload import Examination, FunctionName
from pairbench.judged_samples import TOO_SHORT
from pairbench.machine import Conditions
from pairbench.measurement_loop import GateTask, LoopState
from pairbench.results_check import is_comparable
from pairbench.sequential_test import Estimate
from pairbench.statistics import Interval
from pairbench.worktrees import Revision

SCHEMA = "pairbench.gate/1"
FunctionVerdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "new"]
Results = Literal["equal", "different", "not compared"]
Examined = Mapping[str, Examination]
"""What was found of a function, by side."""


@dataclass(frozen=True)
class FunctionRow:
    """The verdict on a function; "new" means that the base has no such function.

    ``change`` is head time ÷ base time, with the interval that decides on PASS; ``typical_change`` is the trimmed mean
    of the same ratio, which decides on FAIL; ``aa_ratio`` is control time ÷ base time. Above 1, the head is slower.
    ``minimum_detectable_effect`` is the smallest ratio for which the gate gives FAIL with probability 0.8. All are None
    without rounds. ``files``: the file of the function's module, by side.
    """

    key: str
    function: str
    verdict: FunctionVerdict
    reason: str
    results: Results
    base_seconds: float | None = None
    head_seconds: float | None = None
    change: Interval | None = None
    typical_change: float | None = None
    aa_ratio: Interval | None = None
    minimum_detectable_effect: float | None = None
    rounds: int = 0
    confirming_rounds: int | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GateReport:
    """The result of a gate; ``head`` and ``base`` have the title, the commit and the digest of their sources."""

    started: str
    options: Mapping[str, Any]
    verdict: FunctionVerdict
    head: Mapping[str, str | None]
    base: Mapping[str, str | None]
    rows: Sequence[FunctionRow]
    notes: Sequence[str]
    conditions: Conditions
    rounds: int
    machine: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The report as data for ``json.dump``."""
        return {"schema": SCHEMA, "command": "gate", **asdict(self)}


def judged_row(
    key: str, name: FunctionName, examined: Examined, state: LoopState, task: GateTask, end_reason: str
) -> FunctionRow:
    """The row of a function; ``end_reason`` says why the measurement ended before a decision."""
    found = {side: one for side, one in examined.items() if not (one.missing or one.failure)}
    files = {side: file for side, one in examined.items() for module, file in one.files if module == name.module}
    base = examined["base"]
    if base.missing and "head" in found:
        return FunctionRow(
            key, str(name), "new", f"the base has no such function: {base.missing}", "not compared", files=files
        )
    failures = state.failures.get(key, {})
    judgement = measurement_loop.row_judgement(state, task, key)
    verdict: FunctionVerdict
    verdict, reason = verdict_reasons.explain(judgement, failures, task.threshold, end_reason)
    if TOO_SHORT in failures.values():  # which side it happens to is chance
        verdict, reason = "INCONCLUSIVE", TOO_SHORT
    results, difference = _compare_results(found)
    if results == "different":
        if verdict == "PASS":  # which asserts that the same work takes no longer
            verdict, reason = "INCONCLUSIVE", ""
        reason = "; ".join(filter(None, [reason, f"head and base have different results: {difference}"]))
    if failures:
        return FunctionRow(key, str(name), verdict, reason, results, files=files)
    times = [one.seconds[key] for one in state.rounds if key in one.seconds]
    return FunctionRow(
        key,
        str(name),
        verdict,
        reason,
        results,
        base_seconds=measurement_loop.side_seconds(times, ("base", "control")),
        head_seconds=measurement_loop.side_seconds(times, ("head",)),
        change=_ratio(judgement.change),
        typical_change=None if judgement.typical is None else math.exp(judgement.typical),
        aa_ratio=_ratio(judgement.offset),
        minimum_detectable_effect=None if judgement.detectable is None else math.exp(judgement.detectable),
        rounds=judgement.rounds,
        confirming_rounds=judgement.confirming_rounds,
        files=files,
    )


def _compare_results(found: Mapping[str, Examination]) -> tuple[Results, str]:
    """Whether head and base compute the same, and how they differ.

    If two calls, or base and control, differ, a function has no result of its own that could be compared.
    """
    if not {"head", "base", "control"} <= found.keys():
        return "not compared", ""
    (head, again), base_results = found["head"].results, [*found["base"].results, *found["control"].results]
    base, *others = base_results
    if not all(map(is_comparable, [head, base])):
        return "not compared", ""
    if results_check.difference(head, again) or any(results_check.difference(base, other) for other in others):
        return "not compared", ""
    difference = results_check.difference(base, head)
    return ("different", difference) if difference else ("equal", "")


def report(
    *,
    started: str,
    options: Mapping[str, Any],
    revisions: Mapping[str, Revision],
    rows: Sequence[FunctionRow],
    conditions: Conditions,
    rounds: int,
) -> GateReport:
    """The report, with notes on what was measured and on a noisy machine."""
    head, base = revisions["head"], revisions["base"]
    notes = [f"{side}: {_described(revisions[side])}; {_origins(rows, side)}" for side in revisions]
    if head.digest == base.digest:
        notes.append("Head and base have the same sources: this is an A/A comparison of two worktrees.")
    offsets = [row.aa_ratio.estimate for row in rows if row.aa_ratio is not None]
    return GateReport(
        started=started,
        options=options,
        verdict=overall_verdict(rows),
        head=_record(head),
        base=_record(base),
        rows=rows,
        notes=[*notes, *verdict_reasons.noise_notes(offsets, conditions, psutil.cpu_count() or 1)],
        conditions=conditions,
        rounds=rounds,
        machine=machine.describe(),
    )


def overall_verdict(rows: Sequence[FunctionRow]) -> FunctionVerdict:
    """The worst verdict of a row. A gate of new functions alone has nothing to compare, and is "new"."""
    worst_first: tuple[FunctionVerdict, ...] = ("FAIL", "INCONCLUSIVE", "PASS")
    return next((verdict for verdict in worst_first if any(row.verdict == verdict for row in rows)), "new")


def _record(revision: Revision) -> dict[str, str | None]:
    return {"title": revision.title, "commit": revision.commit, "digest": revision.digest}


def _described(revision: Revision) -> str:
    return revision.title if revision.commit is None else f"{revision.title}, commit {revision.commit}"


def _origins(rows: Sequence[FunctionRow], side: str) -> str:
    """From where a side's modules were imported."""
    files = {row.files[side]: row.function.partition(":")[0] for row in rows if side in row.files}
    return ", ".join(f"{module} from {file}" for file, module in files.items()) or "nothing was imported"


def _ratio(estimate: Estimate | None) -> Interval | None:
    if estimate is None:
        return None
    return Interval(math.exp(estimate.mean), math.exp(estimate.low), math.exp(estimate.high))
