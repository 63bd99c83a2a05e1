"""Declares the command ``scale`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import (
    backend_option,
    cluster_options,
    destination_options,
    peers_option,
    results_option,
    resume_option,
)
from pairbench.cli.options import examples


@click.command(
    epilog=examples(
        "mlpbench scale --backend numpy_vectorized --backend numba_jit",
        "mlpbench scale --cluster tls://node1:8786 --tls-ca-file ca.pem --tls-cert own.pem --tls-key key.pem",
    )
)
@peers_option
@backend_option
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw scale.svg into DIR.")
@cluster_options
@resume_option
@destination_options
@results_option
def scale(**options: Any) -> int:
    """Show how time grows with width, depth and batch size.

    One of the three grows at a time, from a base of 32-32-32 and one sample. Below the tables: the crossovers, which
    are the sizes from which one backend is faster than another, and the break-even points of compiling. Each crossover
    is narrowed by up to three more sizes. Without --backend and --peers: the core backends; python_loops is always
    timed. Calls that are predicted to take over a second are not run. The command takes five minutes.
    """
    from bench.commands import scale as command

    return command.scale(**options)
