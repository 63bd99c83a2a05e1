"""The tables of ``verify``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.cases import OPERATIONS
from bench.records import schema
from bench.report import tables
from bench.report.layout import Paragraph

COLUMNS = (*OPERATIONS, "contract", "scikit-learn")
HEADINGS = (*OPERATIONS, "contract", "sklearn")


def outcomes(rows: Sequence[schema.ProofRow]) -> Iterator[RenderableType]:
    """For each backend and dtype, a table with a row per network and a column per operation, and the failures."""
    yield Paragraph(
        "forward, gradient, train: largest error in ulps (units in the last place), and in % of the bound on the "
        "rounding error."
    )
    yield Paragraph("contract: largest error of the contract tests, in % of its bound.")
    yield Paragraph(
        "sklearn: largest deviation from scikit-learn, in % of its bound, for networks that scikit-learn supports."
    )
    yield ""
    ordered = sorted(rows, key=_backend_and_dtype)
    for (backend, dtype), group in groupby(ordered, _backend_and_dtype):
        members = list(group)
        yield Text(f"{backend}, {dtype}", style="bold")
        table = tables.plain("network", *HEADINGS)
        for title, network_rows in groupby(members, _title):
            cells = {row.operation: _cell(row) for row in network_rows}
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
    share = tables.NONE if row.share is None else f"{100 * row.share:.2g} %"
    if row.operation not in OPERATIONS or row.ulps is None:
        return share
    ulps = f"{row.ulps:.0f}" if row.ulps >= 9.95 else f"{row.ulps:.1f}"
    return f"{ulps} {share:>6}"


def _reasons(rows: Sequence[schema.ProofRow]) -> Iterator[RenderableType]:
    """The reasons of failed rows, each reason once."""
    failures: dict[str, list[schema.ProofRow]] = {}
    for row in rows:
        if not row.ok:
            failures.setdefault(row.reason, []).append(row)
    for reason, failed in failures.items():
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        yield Text(f"{_title(failed[0])} {failed[0].operation}{others}: {reason}", style="red")


def mutants(document: schema.Proof) -> Iterator[RenderableType]:
    """The numbers of rejected mutants, and a line for each survivor."""
    for title, rows, verb in (
        ("mutants", document.mutants, "killed"),
        ("timing mutants", document.timing_mutants, "caught"),
    ):
        survivors = [mutant for mutant in rows if not mutant.killed]
        yield f"{title}: {len(rows) - len(survivors)} of {len(rows)} {verb}"
        yield from (Text(f"survives: {mutant.mutant}: {mutant.description}", style="red") for mutant in survivors)
