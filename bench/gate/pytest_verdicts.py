"""The gate's verdicts for benchmark cases that pytest has collected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import cases
from bench.cases import Case
from bench.checkpoint import Checkpoint, Say
from bench.gate import preparation
from bench.gate.baseline_verdict import BaselineRequest, judge_against_baseline
from bench.gate.revision import RevisionRequest, judge_revision
from bench.records.gate_schema import GateRow, GateState
from pairbench.lock import machine_lock
from pairbench.progress import Progress

RESULTS = "results"


def verdicts_for_tests(
    pairs: Sequence[tuple[str, Case]],
    revision: str | None,
    baseline: Path | None,
    threshold: float,
    budget: float,
    root: Path,
    progress: Progress,
    say: Say,
) -> dict[tuple[str, Case], GateRow]:
    """Verdicts on backends at cases; of the cases, those that the gate takes by default if any is among them.

    Raises KeyboardInterrupt where the measuring is interrupted.
    """
    usual = set(cases.select_cases(default=preparation.DEFAULT))
    chosen = [case for _, case in pairs if case in usual] or [case for _, case in pairs]
    names = tuple(dict.fromkeys(name for name, case in pairs if case in chosen))
    kept = tuple(dict.fromkeys(chosen))
    with machine_lock(say):
        if revision is not None:
            checkpoint = Checkpoint(root / RESULTS, "gate", GateState, say)
            request = RevisionRequest(revision, kept, names, threshold, budget)
            document, interrupted = judge_revision(request, checkpoint, False, progress, say)
            checkpoint.clear()
        else:
            asked = BaselineRequest(baseline or Path(), None, kept, names, threshold, budget)
            document, interrupted = judge_against_baseline(asked, progress)
    if interrupted:
        raise KeyboardInterrupt
    return {(row.backend, case): row for row in document.rows for case in kept if row.case == case}
