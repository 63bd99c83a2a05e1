"""Declares the command ``tutorials`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import (
    backend_option,
    destination_options,
    one_of,
    peers_option,
    results_option,
    resume_option,
    say_former,
)
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench tutorials xor --backend numba_jit"))
@click.argument(
    "keys", nargs=-1, metavar="[KEY]...", shell_complete=one_of("feedforward", "circles", "miniflow", "xor")
)
@peers_option
@backend_option
@click.option("--boston", is_flag=True, help="Fetch the Boston house prices for miniflow, instead of load_diabetes.")
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw the pictures, as SVG, into DIR.")
@resume_option
@destination_options
@results_option
def tutorials(keys: tuple[str, ...], **options: Any) -> int:
    """Reproduce the figures that public tutorials print.

    KEY is feedforward, circles, miniflow or xor; by default all of them. The tables compare each printed figure with
    the values that the backends compute, and each printed time with the time on this machine. numpy_vectorized always
    runs, because the other backends are compared with it.
    """
    from bench.commands import tutorials as command

    return command.tutorials(keys, **options)


@click.command("documents", params=tutorials.params, epilog=tutorials.epilog, hidden=True)
@click.pass_context
def documents(context: click.Context, /, **options: Any) -> Any:
    """Run ``tutorials`` by its former name."""
    say_former("mlpbench documents", "mlpbench tutorials")
    return context.invoke(tutorials, **options)
