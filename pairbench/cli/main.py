"""Entry point of ``pairbench``: times functions and commands against each other."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from pairbench.cli import running
from pairbench.cli.compare import compare
from pairbench.cli.exit_codes import USAGE_ERROR
from pairbench.cli.gate import gate
from pairbench.cli.options import examples
from pairbench.cli.run import run

PROGRAM = "pairbench"
COMPLETE_VARIABLE = "_PAIRBENCH_COMPLETE"
"""Environment variable by which a shell asks for completions, or for the script that sets them up."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    epilog=examples("pairbench run -- 'sleep 0.1' --- 'sleep 0.2'"),
)
@click.version_option(package_name="mlpbench", prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context) -> int:
    """Time functions and commands against each other, side by side.

    Exit status: 0 success, 1 a failed function or command or a FAIL of the gate, 2 wrong usage or input, 3 an
    INCONCLUSIVE gate, 4 an internal error, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo("pairbench: Missing command; pairbench --help lists the commands", err=True)
    return USAGE_ERROR  # with a command, the status is the command's


for command in (compare, gate, run):
    cli.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        return shell_complete(cli, {}, PROGRAM, COMPLETE_VARIABLE, instruction)
    return running.run(cli, PROGRAM, argv)  # no variable is set, which a timed command would inherit


def console() -> None:
    """Entry point of the console script."""
    running.exit_after(main)
