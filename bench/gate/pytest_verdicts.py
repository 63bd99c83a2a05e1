"""The gate's verdicts on the benchmark cases that pytest has collected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import cases
from bench.cases import Case
from bench.checkpoint import Checkpoint, Say
from bench.gate import preparation
from bench.gate.baseline_verdict import BaselineRequest, judge_against_baseline
from bench.gate.option_values import row_options
from bench.gate.revision import RevisionRequest, judge_revision
from bench.records.gate_schema import GateRow, GateState
from pairbench.lock import machine_lock
from pairbench.progress import Progress


def verdicts_for_tests(
    pairs: Sequence[tuple[str, Case]],
    revision: str | None,
    baseline: Path | None,
    threshold: float,
    budget: float,
    progress: Progress,
    say: Say,
) -> dict[tuple[str, Case], GateRow]:
    """The gate's rows for pairs of backend and case.

    If some of the cases are default cases of the gate, only those get verdicts. Raises KeyboardInterrupt if the
    measurement is interrupted.
    """
    default_cases = set(cases.select_cases(default=preparation.DEFAULT_GATE_CASES))
    chosen_cases = [case for _, case in pairs if case in default_cases] or [case for _, case in pairs]
    names = tuple(dict.fromkeys(name for name, case in pairs if case in chosen_cases))
    unique_cases = tuple(dict.fromkeys(chosen_cases))
    with machine_lock(say):
        if revision is not None:
            revision_request = RevisionRequest(revision, unique_cases, names, threshold, budget)
            with TemporaryDirectory() as folder:  # pytest cannot resume
                checkpoint = Checkpoint(Path(folder), "gate", GateState, say)
                document, interrupted = judge_revision(revision_request, checkpoint, False, progress)
        else:
            baseline_request = BaselineRequest(
                path=baseline or Path(),
                revision=None,
                results=None,  # pytest stores no document
                cases=unique_cases,
                backends=names,
                threshold=threshold,
                budget=budget,
                row_options=_row_options(names, [] if default_cases & set(unique_cases) else unique_cases),
            )
            document, interrupted = judge_against_baseline(baseline_request, progress)
    if interrupted:
        raise KeyboardInterrupt
    return {(row.backend, case): row for row in document.rows for case in unique_cases if row.case == case}


def _row_options(names: Sequence[str], chosen: Sequence[Case]) -> str:
    """Options for at least these rows; without cases, for the default ones."""
    return row_options(
        names,
        dict.fromkeys(str(case.network) for case in chosen),
        dict.fromkeys(case.operation for case in chosen),
        dict.fromkeys(case.batch for case in chosen),
    )
