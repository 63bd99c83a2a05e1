"""Declares the command ``run`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import (
    backend_option,
    cluster_options,
    destination_options,
    peers_option,
    quick_option,
    results_option,
    resume_option,
    say_former,
    timed_case_options,
)
from pairbench.cli.options import examples


@click.command(
    epilog=examples(
        "mlpbench run --quick --network 3-3-1 --cluster",
        "mlpbench run --peers --backend numba_simd --format csv --output run.csv",
    )
)
@quick_option
@peers_option
@backend_option
@timed_case_options(None, "float64 or float32. Default: float64; with --peers, both.")
@click.option(
    "--roofline",
    is_flag=True,
    help="Also measure the peak rates of this machine, and show each backend's share of the roofline.",
)
@click.option("--limits", is_flag=True, hidden=True)
@cluster_options
@click.option(
    "--each-machine", is_flag=True, help="Time every case on each machine of the cluster, not once in each bucket."
)
@resume_option
@destination_options
@results_option
def run(limits: bool, **options: Any) -> int:
    """Time backends, and print and store the speedups.

    Wrong backends get no time. Without --backend and --peers: the core backends. The reference, python_loops, is always
    timed. A default run takes two minutes; --quick takes one minute and leaves out the compile times. Large networks
    and batches take longer: a run says how long before it begins. With --cluster, each case is timed on a machine of a
    Dask cluster, once for every kind of machine.
    """
    from bench.commands import run as command

    if limits:
        say_former("--limits", "--roofline")
        options["roofline"] = True
    return command.run(**options)
