"""The command ``verify``, and its tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import isfinite

from rich.console import RenderableType
from rich.text import Text

from bench import selection
from bench.cases import OPERATIONS, Case
from bench.cli import output, terminal
from bench.proof import verify as proof
from bench.proof.mutants import MUTANTS
from bench.records import schema
from bench.report import tables
from pairbench import machine

COLUMNS = (*OPERATIONS, "contract", "scikit-learn")
HEADINGS = (*OPERATIONS, "contract", "sklearn")


def verify(names: Sequence[str], *, peers: bool, json_path: str | None) -> int:
    """Prove the backends equal to the exact results, and the proof able to fail."""
    started = output.now()
    with output.caller_input():
        chosen = selection.select_backends(names, peers)
        output.check_json_path(json_path, schema.Proof)
    rows, mutants = [], []
    with terminal.progress() as progress:
        progress.start(sum(map(proof.count_checks, chosen.backends)) + len(MUTANTS))
        for backend in chosen.backends:
            progress.stage(f"verifying {backend.name}")
            for row in proof.verify_backend(backend):
                rows.append(_proof_row(row))
                progress.advance()
        progress.stage("verifying the mutants")
        for mutant in MUTANTS:
            death = proof.kill_mutant(mutant)
            mutants.append(
                schema.MutantRow(
                    mutant=mutant.name,
                    description=mutant.description,
                    killed=death is not None,
                    reason=f"{death.network} {death.dtype} {death.operation}: {death.evidence.reason}" if death else "",
                )
            )
            progress.advance()
    document = schema.Proof(
        command="verify",
        version=output.version(),
        started=started,
        finished=output.now(),
        machine=machine.describe(),
        rows=rows,
        mutants=mutants,
    )
    notes: list[RenderableType] = [*tables.lacking(proof.unsupported_operations(chosen.backends))]
    notes += chosen.notes()
    output.answer(document, json_path, *_tables(rows), *notes, *_score(mutants))
    survived = not all(mutant.killed for mutant in mutants)
    return output.FINDING if chosen.broken or survived else output.status(rows)


def _proof_row(row: proof.ProofOutcome) -> schema.ProofRow:
    evidence = row.evidence
    return schema.ProofRow(
        backend=row.backend,
        **Case(row.network, row.operation, proof.BATCH, row.dtype).fields(),
        ulps=evidence.ulps if isfinite(evidence.ulps) else None,
        share=evidence.share if isfinite(evidence.share) else None,
        ok=evidence.ok,
        reason=evidence.reason,
    )


def _tables(rows: Sequence[schema.ProofRow]) -> Iterator[RenderableType]:
    """For each backend and dtype a table: a network a row, an operation a column; below it why a row failed."""
    yield Text("worst error in ulps (units in the last place), and in % of the bound that the arithmetic allows;")
    yield Text("contract: promises beside the figures; sklearn: beside scikit-learn, where it has the network")
    yield ""
    ordered = sorted(rows, key=_backend_and_dtype)
    for (backend, dtype), group in groupby(ordered, _backend_and_dtype):
        members = list(group)
        yield Text(f"{backend}, {dtype}", style="bold")
        table = tables.plain("network", *HEADINGS)
        for title, of_network in groupby(members, _title):
            cells = {row.operation: _cell(row) for row in of_network}
            table.add_row(title, *(cells.get(column, tables.NONE) for column in COLUMNS))
        yield table
        yield from _reasons(members)
        yield ""


def _backend_and_dtype(row: schema.ProofRow) -> tuple[str, str]:
    return row.backend, row.dtype


def _title(row: schema.ProofRow) -> str:
    return f"{'-'.join(map(str, row.layer_sizes))} {row.hidden}/{row.output}"


def _cell(row: schema.ProofRow) -> str:
    if not row.ok:
        return "FAILS"
    share = tables.NONE if row.share is None else f"{100 * row.share:.2g}%"
    if row.operation not in OPERATIONS or row.ulps is None:
        return share
    ulps = f"{row.ulps:.0f}" if row.ulps >= 9.95 else f"{row.ulps:.1f}"
    return f"{ulps} {share:>5}"


def _reasons(rows: Sequence[schema.ProofRow]) -> Iterator[RenderableType]:
    """Why rows failed, each reason once."""
    first: dict[str, list[schema.ProofRow]] = {}
    for row in rows:
        if not row.ok:
            first.setdefault(row.reason, []).append(row)
    for reason, failed in first.items():
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        yield Text(f"{_title(failed[0])} {failed[0].operation}{others}: {reason}", style="red")


def _score(mutants: Sequence[schema.MutantRow]) -> Iterator[RenderableType]:
    survivors = [mutant for mutant in mutants if not mutant.killed]
    yield f"mutants: {len(mutants) - len(survivors)} of {len(mutants)} killed"
    yield from (Text(f"survives: {mutant.mutant}: {mutant.description}", style="red") for mutant in survivors)
