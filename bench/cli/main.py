"""Entry point of ``mlpbench``: runs a command, and turns errors into messages and exit statuses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from click.shell_completion import shell_complete

from bench.cli.program import PROGRAM, cli
from pairbench import own_tree, threads
from pairbench.cli import running

COMPLETE_VARIABLE = "_MLPBENCH_COMPLETE"
"""Environment variable by which a shell asks for completions, or for the script that sets them up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # it would read the entry points of all packages
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
    return running.run(cli, PROGRAM, argv, threads.limit_own_threads)


def console() -> None:
    """Entry point of the console script."""
    own_tree.guard([Path(__file__).parents[2]])
    running.exit_after(main)
