"""Declares the command ``scale-out`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import destination_options, results_option, resume_option
from pairbench.cli.options import examples


@click.command("scale-out", epilog=examples("mlpbench scale-out --samples 10000 --rounds 1"))
@click.option(
    "--samples",
    type=int,
    multiple=True,
    default=(10**5, 10**6),
    metavar="N",
    help="Number of samples; may be repeated. Default: 100000 and 1000000.",
)
@click.option(
    "--partition-rows", type=int, default=100_000, metavar="N", help="Samples in a partition. Default: 100000 (59 MB)."
)
@click.option(
    "--workers",
    type=int,
    multiple=True,
    default=(1, 2),
    metavar="N",
    help="Number of worker processes of a cluster; may be repeated. Default: 1 and 2.",
)
@click.option("--rounds", type=int, default=3, metavar="N", help="Fresh processes for each method. Default: 3.")
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw scale_out.svg into DIR.")
@resume_option
@destination_options
@results_option
def scale_out(**options: Any) -> int:
    """Train on more data than fits one process.

    One epoch on the digits, repeated: time and peak memory of dask_data_parallel on a Dask cluster on this machine,
    beside numba_simd in one process, scikit-learn and PyTorch. Below the table: the costs of distribution, and what
    they let expect of up to 1000 workers. The command takes six minutes; ten million samples take about as long
    in one round.
    """
    from bench.commands import scale_out as command

    return command.scale_out(**options)
