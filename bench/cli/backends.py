"""Declares the command ``backends`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import destination_options
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench backends --format markdown"))
@destination_options
def backends(**options: Any) -> int:
    """List the backends, installed and missing."""
    from bench.commands import backends as command

    return command.backends(**options)
