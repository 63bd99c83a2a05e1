"""Declares the command ``history`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import destination_options, results_option
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench history numba_jit", "mlpbench history --import .benchmarks"))
@click.argument("series", metavar="[CASE]", required=False)
@click.option("--all-machines", is_flag=True, help="Also show the runs of other kinds of machines.")
@click.option(
    "--import",
    "import_",
    multiple=True,
    metavar="PATH",
    help="First import a JSON file of pytest-benchmark, its storage folder, or asv's results; may be repeated.",
)
@results_option
@destination_options
def history(series: str | None, **options: Any) -> int:
    """Show the course of each speedup over the stored runs.

    CASE is part of the name of a series, such as "numba_jit: forward 3-3-1". Points at which a speedup changed are
    named with the commits before and after.
    """
    from bench.commands import history as command

    return command.history(series, **options)
