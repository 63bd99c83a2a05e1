"""The commands and their options.

What a command needs is imported when it runs, so that ``--help`` is quick and threads are counted before NumPy comes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

PROGRAM = "mlpbench"

Command = TypeVar("Command", bound=Callable[..., Any])

_json_option = click.option(
    "--json", "json_path", metavar="PATH", help="Write the results as JSON; '-' is standard output."
)
_peers_option = click.option("--peers", is_flag=True, help="The peers: libraries that one could use instead.")
_backend_option = click.option(
    "--backend", multiple=True, metavar="B", help="A backend, as `mlpbench backends` lists them; may be repeated."
)
_quick_option = click.option("--quick", is_flag=True, help="4 processes instead of 10, and fewer samples.")

_results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    metavar="DIR",
    help="Folder for the results, by default ./results.",
)

_resume_option = click.option(
    "--resume", is_flag=True, help="Go on with an interrupted run. Without it, the command begins anew."
)

_budget_option = click.option(
    "--budget", default=120.0, metavar="SECONDS", help="Seconds of measuring at most. Default: 120."
)

_baseline_option = click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    default=Path("results/baseline.json"),
    metavar="FILE",
    help="The file of sessions, by default results/baseline.json.",
)

_threads_option = click.option(
    "--threads",
    type=int,
    default=1,
    metavar="N",
    help="Threads of BLAS, numba_simd and the peers, up to the number of CPUs. Default: 1.",
)


def _case_options(default: str) -> Callable[[Command], Command]:
    """Options that choose the cases, but for the dtype."""

    def decorate(command: Command) -> Command:
        operation = click.option(
            "--operation", multiple=True, metavar="O", help="forward, gradient or train; may be repeated."
        )
        batch = click.option(
            "--batch",
            multiple=True,
            type=int,
            metavar="N",
            help="Samples of a batch; may be repeated. Default: 1 and 64.",
        )
        network = click.option(
            "--network",
            multiple=True,
            metavar="N",
            help=f"Layer sizes, such as 20-40-5; may be repeated. Default: {default}.",
        )
        return network(operation(batch(command)))

    return decorate


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
def cli() -> None:
    """One neural network written several ways: proved equal, then timed.

    Exit status: 0 all is well, 1 a finding, 2 wrong usage or input, 3 inconclusive, 4 an internal error, 130
    interrupted.
    """


@cli.command()
@_quick_option
@_peers_option
@_backend_option
@_case_options("3-3-1, 3-3-3-1 and 100-100-50-10")
@_threads_option
@click.option("--dtype", metavar="D", help="float64 or float32. Default: float64, and beside peers both.")
@click.option("--roofline", "--limits", is_flag=True, help="Measure what this machine could do at best, as well.")
@_json_option
@_results_option
def run(**options: Any) -> int:
    """Verify, time, print the speedups, store the results.

    Without --backend and --peers: the core backends. The reference, python_loops, is always timed. A default run takes
    two minutes; --quick takes half a minute, and leaves out the compile times.
    """
    from bench.cli import run as command

    return command.run(**options)


@cli.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@_quick_option
@_case_options("3-3-1, 3-3-3-1 and 100-100-50-10")
@_threads_option
@click.option("--dtype", default="float64", metavar="D", help="float64 (the default) or float32.")
@_json_option
def compare(a: str, b: str, **options: Any) -> int:
    """Time two backends against each other.

    For each case: time of A ÷ time of B, with its interval. Nothing is stored but what --json asks for.
    """
    from bench.cli import run as command

    return command.compare(a, b, **options)


@cli.command()
@click.argument("names", nargs=-1, metavar="[B]...")
@_peers_option
@_json_option
def verify(names: tuple[str, ...], **options: Any) -> int:
    """Prove backends equal to exact results.

    B are names as `mlpbench backends` lists them, by default the core. The proof is then tried on sabotaged backends,
    each of which it must reject.
    """
    from bench.cli import verify as command

    return command.verify(names, **options)


@cli.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@_peers_option
@_backend_option
@click.option("--boston", is_flag=True, help="Fetch the Boston house prices for miniflow, instead of load_diabetes.")
@click.option("--pictures", metavar="DIR", help="Draw the pictures, as SVG, into DIR.")
@_resume_option
@_json_option
@_results_option
def tutorials(keys: tuple[str, ...], **options: Any) -> int:
    """Reproduce the figures that public tutorials print.

    KEY is feedforward, circles, miniflow or xor; by default all of them. Each printed figure stands beside what the
    backends give, and each printed time beside this machine's. numpy_vectorized always runs: the others are compared
    with it.
    """
    from bench.cli import tutorials as command

    return command.tutorials(keys, **options)


# The command's former name goes on working.
cli.add_command(click.Command("documents", params=tutorials.params, callback=tutorials.callback, hidden=True))


@cli.command()
@_peers_option
@_backend_option
@click.option("--pictures", metavar="DIR", help="Draw scale.svg into DIR.")
@_resume_option
@_json_option
@_results_option
def scale(**options: Any) -> int:
    """Show how time grows with width, depth and batch.

    One of them grows at a time, from a base of 32-32-32 and one sample. Below the tables: the crossovers, at which one
    backend overtakes another, and the break-even points of compiling. Without --backend and --peers: the core backends;
    python_loops is always timed. A call that is predicted to take over a second is not run. The run takes four minutes.
    """
    from bench.cli import scale as command

    return command.scale(**options)


@cli.command()
@click.option("--against", metavar="REV", help="Measure the working tree against this revision.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Judge it by the sessions that FILE holds of machines like this one.",
)
@click.option("--baseline-from", metavar="REV", help="Read the baseline's file as REV has it.")
@_backend_option
@_case_options("3-3-1 and 100-100-50-10")
@click.option("--threshold", default="5%", metavar="T", help="The slowdown that is a regression. Default: 5%.")
@_budget_option
@_resume_option
@click.option("--markdown", metavar="PATH", help="Append the verdict, as Markdown, to PATH.")
@_json_option
@_results_option
def gate(**options: Any) -> int:
    """Say whether a backend has become slower.

    Each row is a backend at a case: one sample forward on both networks and the gradient of a batch of 64 on
    100-100-50-10, for the core backends. FAIL: the head is slower, at a family-wise error rate of 1 %, and the
    estimated slowdown is above the threshold. Measuring ends when every row has a verdict. Exit status: 0 PASS,
    1 FAIL, 3 INCONCLUSIVE.
    """
    from bench.cli import gate as command

    return command.gate(**options)


@cli.group()
def baseline() -> None:
    """Record, show or move the sessions that `gate --baseline` judges by."""


@baseline.command()
@_baseline_option
@_backend_option
@_case_options("3-3-1 and 100-100-50-10")
@_budget_option
@_json_option
def record(**options: Any) -> int:
    """Measure a session, and append it to the baseline.

    The rows are those of `mlpbench gate`. Ten sessions of machines like this one are needed before there is a verdict.
    """
    from bench.cli import baseline as command

    return command.record(**options)


@baseline.command()
@_baseline_option
@_json_option
def show(**options: Any) -> int:
    """Show the sessions that the baseline holds, and what they predict."""
    from bench.cli import baseline as command

    return command.show(**options)


@baseline.command()
@_baseline_option
@_backend_option
@_case_options("3-3-1 and 100-100-50-10")
@_budget_option
@_json_option
def accept(**options: Any) -> int:
    """Measure a session, and move the baseline of the rows that became faster."""
    from bench.cli import baseline as command

    return command.accept(**options)


@cli.command("error-rates")
@click.option("--rounds", default=0, metavar="N", help="First make a recording of N rounds.")
@click.option("--loaded", is_flag=True, help="Record beside two busy processes.")
@_budget_option
@_resume_option
@_json_option
@_results_option
def error_rates(**options: Any) -> int:
    """Show how often the gate errs, and how often other rules do.

    The rates are computed from the recordings in results/gate/: rounds of one revision, with delays planted in calls of
    the head.
    """
    from bench.cli import error_rates as command

    return command.error_rates(**options)


@cli.command()
@_quick_option
@click.option("--markdown", metavar="PATH", help="Write the tables as a page of Markdown.")
@_resume_option
@_json_option
@_results_option
def speed(**options: Any) -> int:
    """Show how fast numba_simd and numpy_vectorized are, beside what they are to reach.

    numba_simd is timed beside numpy_plain, numpy_vectorized and all peers that are installed, in both dtypes, on fixed
    cases; beside the same arithmetic in C, where there is a C compiler; and beside the limits of this machine. A figure
    that is not reached is no error. It takes ten minutes, and some more where the peers have yet to
    compile; --quick takes five.
    """
    from bench.cli import speed as command

    return command.speed(**options)


@cli.command()
@_json_option
def backends(**options: Any) -> int:
    """List the backends, installed or not."""
    from bench.cli import backends as command

    return command.backends(**options)
