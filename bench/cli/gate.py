"""Declares the command ``gate`` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.shared_options import (
    backend_option,
    budget_option,
    destination_options,
    gate_case_options,
    results_option,
    resume_option,
)
from pairbench.cli.exit_codes import FINDING
from pairbench.cli.options import examples, threshold_option
from pairbench.error_text import describe_error

PROJECT = Path(__file__).resolve().parents[2]


@click.command(epilog=examples("mlpbench gate --against main --backend numba_simd"))
@click.option(
    "--against",
    metavar="REV",
    help="Measure the working tree against this revision. REV... is the merge base of REV and HEAD: the commit at "
    "which the branch left REV.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure the working tree against the sessions in FILE of machines like this one.",
)
@click.option("--baseline-from", metavar="REV", help="Read the baseline's file from revision REV.")
@backend_option
@gate_case_options
@threshold_option
@budget_option
@click.option(
    "--all-rows",
    is_flag=True,
    help="Measure rows, too, of backends whose sources are the same on both sides. Without this option, only one such "
    "backend is measured, as a control.",
)
@click.option(
    "--counts",
    is_flag=True,
    help="After the verdict, count the instructions of a call of each measured row in head and base: those of Python's "
    "bytecode and, where Valgrind is installed, those of the machine.",
)
@resume_option
@click.option("--markdown", type=click.Path(), metavar="PATH", help="Append the verdict, as Markdown, to PATH.")
@destination_options
@results_option
def gate(**options: Any) -> int:
    """Test whether a backend has become slower.

    Each row is a backend and a case. Default: the core backends, with the forward pass of one sample on 3-3-1 and on
    100-100-50-10, and the gradient of a batch of 64 on 100-100-50-10 (of one sample, if the batch takes longer than
    50 ms). The head is the working tree. PASS: with 95% confidence, the mean slowdown is below the threshold. FAIL: the
    head is wrong, or it is significantly slower, and the slowdown is estimated above the threshold; at most 1% of the
    gates without a change FAIL. INCONCLUSIVE: the budget ended before the rounds showed either; raise --budget, or
    choose fewer rows. Exit status: 0 PASS, 1 FAIL, 3 INCONCLUSIVE.
    """
    try:
        from bench.commands import gate as command
    except Exception as error:
        if PROJECT not in (Path.cwd(), *Path.cwd().parents):
            raise
        # The working tree holds the head and the gate, so a head that cannot be imported ends the gate itself.
        click.echo(f"FAIL: the head cannot be imported: {describe_error(error)}")
        return FINDING
    return command.gate(**options)
