"""Declares the command ``speed`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import destination_options, quick_option, results_option, resume_option
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench speed --quick"))
@quick_option
@click.option("--markdown", type=click.Path(), metavar="PATH", help="Write the tables to PATH, as Markdown.")
@resume_option
@destination_options
@results_option
def speed(**options: Any) -> int:
    """Compare the fastest backends with goals.

    numba_simd is timed against numpy_plain, numpy_vectorized and all installed peers, in both dtypes, on fixed cases;
    against the same arithmetic in C, if there is a C compiler; and against the roofline of this machine. A goal that is
    missed does not change the exit status. The command takes about 20 minutes, and longer if the peers have to compile;
    --quick takes about 15.
    """
    from bench.commands import speed as command

    return command.speed(**options)
