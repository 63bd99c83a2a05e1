"""Declares the commands ``baseline record``, ``show`` and ``accept``, and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.shared_options import (
    backend_option,
    baseline_option,
    budget_option,
    destination_options,
    gate_case_options,
)
from pairbench.cli.options import examples


@click.group(no_args_is_help=False, epilog=examples("mlpbench baseline record --backend numba_simd"))
def baseline() -> None:
    """Record, show or update the stored baseline.

    `mlpbench gate --baseline` compares the working tree with it.
    """


@baseline.command(epilog=examples("mlpbench baseline record --backend numba_simd"))
@baseline_option
@backend_option
@gate_case_options
@budget_option
@destination_options
def record(**options: Any) -> int:
    """Measure a session, and append it to the baseline.

    The rows are those of `mlpbench gate`. A verdict needs ten sessions of machines like this one.
    """
    from bench.commands import baseline as command

    return command.record(**options)


@baseline.command(epilog=examples("mlpbench baseline show"))
@baseline_option
@destination_options
def show(**options: Any) -> int:
    """Show the recorded sessions, and the speedups that they predict.

    Below the table are the sessions at which a speedup changed.
    """
    from bench.commands import baseline as command

    return command.show(**options)


@baseline.command(epilog=examples("mlpbench baseline accept --backend numba_simd"))
@baseline_option
@backend_option
@gate_case_options
@budget_option
@click.option("--losses", is_flag=True, help="Accept the losses of the rows that became slower, too.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    metavar="DIR",
    help="Folder with the results of earlier gates, by default ./results.",
)
@destination_options
def accept(**options: Any) -> int:
    """Accept the gains of the rows that became faster.

    A session is measured first. Another must show the same gain: that of an earlier gate of the same sources, or the
    last recorded one. The lower bound of the gain is accepted.
    """
    from bench.commands import baseline as command

    return command.accept(**options)
