"""Declares the command ``warm`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import backend_option, one_of, threads_option
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench warm --backend numba_jit --network 20-40-5"))
@backend_option
@click.option(
    "--network",
    multiple=True,
    metavar="N",
    help="Layer sizes, such as 20-40-5; may be repeated. Default: 3-3-1, 3-3-3-1 and 100-100-50-10.",
)
@click.option(
    "--dtype", metavar="D", shell_complete=one_of("float64", "float32"), help="float64 or float32. Default: both."
)
@threads_option
def warm(**options: Any) -> int:
    """Compile ahead, so that later processes load the code.

    Without --backend: the core backends that compile. Each is compiled in a process of its own, as many at a time as
    there are usable CPUs. The last line names the folders to keep, for example between the runs of a CI.
    """
    from bench.commands import warm as command

    return command.warm(**options)
