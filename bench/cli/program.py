"""The program ``mlpbench``, a group of commands.

A command's file declares its options. What the command does is in ``bench.commands``, whose modules are imported when
the command runs, so that ``--help`` is quick and the thread counts are set before NumPy is imported.
"""

from __future__ import annotations

import click

from bench.cli.backends import backends
from bench.cli.baseline import baseline
from bench.cli.compare import compare
from bench.cli.error_rates import error_rates
from bench.cli.gate import gate
from bench.cli.history import history
from bench.cli.report import report
from bench.cli.run import run
from bench.cli.scale import scale
from bench.cli.scale_out import scale_out
from bench.cli.speed import speed
from bench.cli.tutorials import documents, tutorials
from bench.cli.verify import verify
from bench.cli.warm import warm
from pairbench.cli.exit_codes import USAGE_ERROR
from pairbench.cli.options import examples

PROGRAM = "mlpbench"

START = """\
mlpbench: Missing command. To begin:
  mlpbench backends                                  lists the backends
  mlpbench compare numpy_plain numba_simd --quick    times two of them
  mlpbench run --quick                               times all of them
mlpbench --help lists the commands; mlpbench run --help explains one."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
    epilog=examples("mlpbench compare numpy_plain numba_simd --quick"),
)
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
@click.pass_context
def cli(context: click.Context) -> int:
    """Prove several implementations of one neural network equal, and time them.

    Exit status: 0 success, 1 a wrong or failed backend or a FAIL of the gate, 2 wrong usage or input, 3 an INCONCLUSIVE
    gate, 4 an internal error, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(START, err=True)
    return USAGE_ERROR  # with a command, the status is the command's


for command in (
    run,
    compare,
    verify,
    tutorials,
    documents,
    scale,
    scale_out,
    gate,
    baseline,
    error_rates,
    speed,
    history,
    report,
    warm,
    backends,
):
    cli.add_command(command)
