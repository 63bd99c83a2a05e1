"""Declares the command ``compare`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import (
    backend_names,
    destination_options,
    function_options,
    one_of,
    quick_option,
    threads_option,
    timing_case_options,
)


@click.command()
@click.argument("a", metavar="A", shell_complete=backend_names)
@click.argument("b", metavar="B", shell_complete=backend_names)
@quick_option
@timing_case_options
@function_options
@threads_option
@click.option(
    "--dtype",
    default="float64",
    metavar="D",
    shell_complete=one_of("float64", "float32"),
    help="float64 (the default) or float32.",
)
@destination_options
def compare(a: str, b: str, **options: Any) -> int:
    """Time two backends against each other.

    For each case: time of A ÷ time of B, with its interval. Results are stored only with --json.
    """
    from bench.commands import run as command

    return command.compare(a, b, **options)
