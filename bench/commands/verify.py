"""The command ``verify``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from bench import selection, suite
from bench.commands import output
from bench.proof.verify import unsupported_operations
from bench.records import schema
from bench.report import proof_tables, tables, terminal
from bench.report.contents import contents
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING


def verify(names: Sequence[str], *, peers: bool, destinations: Destinations) -> int:
    """Prove the backends equal to the exact results, and check that every mutant is rejected."""
    with output.caller_input():
        chosen = selection.select_backends(names, peers)
        output.check_destinations(destinations, schema.Proof)
    with output.interruptible(), terminal.progress() as progress:
        document = suite.verify_backends(chosen.backends, progress)
    notes: list[RenderableType] = [*tables.unsupported(unsupported_operations(chosen.backends)), *chosen.notes()]
    notes += proof_tables.mutants(document)
    output.show(document, destinations, contents(document), notes)
    survived = not all(mutant.killed for mutant in (*document.mutants, *document.timing_mutants))
    return FINDING if chosen.broken or survived else output.status(document.rows)
