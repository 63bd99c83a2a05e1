"""Declares the command ``verify`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import backend_names, destination_options, peers_option
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench verify numba_jit"))
@click.argument("names", nargs=-1, metavar="[B]...", shell_complete=backend_names)
@peers_option
@destination_options
def verify(names: tuple[str, ...], **options: Any) -> int:
    """Prove that backends compute exact results.

    Each result must equal the exact one within a bound on the rounding error. B is a name that `mlpbench backends`
    lists; by default, the core backends are proved. Then the proof is tried on mutants, which are backends with a
    deliberate fault: it must reject each of them.
    """
    from bench.commands import verify as command

    return command.verify(names, **options)
