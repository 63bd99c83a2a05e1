"""Declares the command ``report`` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.shared_options import results_option
from pairbench.cli.options import examples


@click.command(epilog=examples("mlpbench report"))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@results_option
def report(files: tuple[Path, ...], **options: Any) -> int:
    """Make a page of stored results.

    FILE is a results file of run, scale, speed, tutorials, verify or error-rates; by default, the latest of each kind
    in the folder for the results. The page is report/index.html in that folder: one file, which needs no network.
    """
    from bench.commands import report as command

    return command.report(files, **options)
