"""Runs the suite: verifies and times backends, and returns the results as documents."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from bench import selection, timing_proof
from bench.arms import arms_of_case
from bench.case_measurement import measure_cases
from bench.cases import Case
from bench.proof import verify
from bench.proof.mutants import MUTANTS
from bench.proof.timing_mutants import TIMING_MUTANTS
from bench.proof.verify import ProofOutcome
from bench.records import schema
from bench.records.header import header, now
from bench.records.roofline_rows import roofline_rows
from bench.records.timing_rows import compile_rows, process_records, timing_rows
from impls import Backend
from pairbench.progress import Progress
from pairbench.visible_text import visible_prints
from pairbench.wording import counted
from pairbench.worker_protocol import Effort


def run_suite(
    cases: Sequence[Case],
    reference: Backend,
    others: Sequence[Backend],
    more_dtypes: Sequence[str],
    effort: Effort,
    roofline: bool,
    options: dict[str, Any],
    progress: Progress,
) -> schema.Run:
    """Verify and time backends against a reference; with ``roofline``, also measure the limits of the machine.

    Raises WorkerRefused and UnfitInputs; see ``measure_cases``.
    """
    started, seed = now(), secrets.randbits(32)
    groups = [arms_of_case(case, reference, others, more_dtypes) for case in cases]
    limits = None
    if roofline:
        from bench.roofline import probes  # imports Numba, which takes long

        limits = probes.measure_limits(list(dict.fromkeys(arm.case for group in groups for arm in group)), progress)
    compiling = [backend.name for backend in others if backend.compiles and effort.compile]
    measurement = measure_cases(groups, effort, seed, progress, compiling)
    order = selection.in_order([reference.name, *(backend.name for backend in others)])
    return schema.Run(
        **header("run", started),
        options=options,
        effort=asdict(effort),
        seed=seed,
        rows=timing_rows(measurement, order, limits),
        compile=compile_rows(measurement),
        roofline=[] if limits is None else roofline_rows(limits),
        processes=process_records(measurement),
    )


def compare_backends(
    cases: Sequence[Case],
    first: Backend,
    second: Backend,
    effort: Effort,
    options: dict[str, Any],
    progress: Progress,
) -> schema.Comparison:
    """Time two backends against each other. Raises WorkerRefused and UnfitInputs."""
    started, seed = now(), secrets.randbits(32)
    measurement = measure_cases([arms_of_case(case, first, [second]) for case in cases], effort, seed, progress)
    return schema.Comparison(
        **header("compare", started),
        options=options,
        effort=asdict(effort),
        seed=seed,
        rows=timing_rows(measurement, (first.name, second.name)),
        processes=process_records(measurement),
    )


def verify_backends(backends: Sequence[Backend], progress: Progress) -> schema.Proof:
    """Verify backends against the exact results, then check that proof and timing reject their mutants."""
    started, mutants, timing_mutants = now(), [], []
    rows: list[schema.ProofRow] = []
    progress.start(sum(map(verify.count_checks, backends)) + len(MUTANTS) + len(TIMING_MUTANTS))
    for backend in backends:
        progress.stage(f"verifying {backend.name}; {_score(rows)}")
        with visible_prints():
            for outcome in verify.verify_backend(backend):
                rows.append(_proof_row(outcome))
                progress.advance()
    progress.stage(f"verifying the mutants; {_score(rows)}")
    for mutant in MUTANTS:
        mutants.append(_mutant_row(mutant, verify.kill_mutant(mutant)))
        progress.advance()
    progress.stage("timing the timing mutants")
    for mutant, reason in timing_proof.try_timing_mutants():
        timing_mutants.append(
            schema.MutantRow(mutant=mutant.name, description=mutant.description, killed=bool(reason), reason=reason)
        )
        progress.advance()
    return schema.Proof(**header("verify", started), rows=rows, mutants=mutants, timing_mutants=timing_mutants)


def _score(rows: Sequence[schema.ProofRow]) -> str:
    return f"{sum(row.ok for row in rows)} of {counted(len(rows), 'check')} passed"


def _proof_row(outcome: ProofOutcome) -> schema.ProofRow:
    evidence = outcome.evidence
    return schema.ProofRow(
        backend=outcome.backend,
        **Case(outcome.network, outcome.operation, verify.BATCH, outcome.dtype).fields(),
        ulps=evidence.ulps if isfinite(evidence.ulps) else None,
        share=evidence.share if isfinite(evidence.share) else None,
        ok=evidence.ok,
        reason=evidence.reason,
    )


def _mutant_row(mutant: Backend, killer: ProofOutcome | None) -> schema.MutantRow:
    return schema.MutantRow(
        mutant=mutant.name,
        description=mutant.description,
        killed=killer is not None,
        reason=f"{killer.network} {killer.dtype} {killer.operation}: {killer.evidence.reason}" if killer else "",
    )
