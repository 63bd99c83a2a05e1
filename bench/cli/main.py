"""The command line: ``mlpbench``.

What a command needs is imported when it runs, so that ``--help`` is quick and threads are counted before NumPy comes.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import click

from pairbench import threads

PROGRAM = "mlpbench"
USAGE_ERROR, INTERNAL_ERROR, INTERRUPTED = 2, 4, 130

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
@click.option("--limits", is_flag=True, help="Measure what this machine could do at best, as well.")
@_json_option
@_results_option
def run(**options: Any) -> int:
    """Check, time, print the speedups, store the results.

    Without --backend and --peers: the core backends. The reference, python_loops, is always timed. A default run takes
    two minutes; --quick takes half a minute, and leaves out how long compiling takes.
    """
    from bench.cli import commands

    return commands.run(**options)


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
    from bench.cli import commands

    return commands.compare(a, b, **options)


@cli.command()
@click.argument("names", nargs=-1, metavar="[B]...")
@_peers_option
@_json_option
def verify(names: tuple[str, ...], **options: Any) -> int:
    """Prove backends equal to exact results.

    B are names as `mlpbench backends` lists them, by default the core. The proof is then tried on sabotaged backends,
    each of which it must reject.
    """
    from bench.cli import proof

    return proof.verify(names, **options)


@cli.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@_peers_option
@_backend_option
@click.option("--boston", is_flag=True, help="Fetch the Boston house prices for miniflow, instead of load_diabetes.")
@click.option("--pictures", metavar="DIR", help="Draw the pictures, as SVG, into DIR.")
@_json_option
def documents(keys: tuple[str, ...], **options: Any) -> int:
    """Reproduce the figures that public tutorials print.

    KEY is feedforward, circles, miniflow or xor; by default all of them. Each printed figure stands beside what the
    backends give, and each printed time beside this machine's. numpy_vectorized always runs: the others are compared
    with it.
    """
    from bench.cli import documents as command

    return command.documents(keys, **options)


@cli.command()
@_peers_option
@_backend_option
@click.option("--fresh", is_flag=True, help="Start over, though a run was interrupted.")
@click.option("--pictures", metavar="DIR", help="Draw scale.svg into DIR.")
@_json_option
@_results_option
def scale(**options: Any) -> int:
    """Show how time grows with width, depth and batch.

    One of them grows at a time, from a base of 32-32-32 and one sample. Below the tables: from where on a backend
    overtakes another, and after how many calls compiling has paid. Without --backend and --peers: the core backends;
    python_loops is always timed. A call that is predicted to take over a second is not run. The run takes four minutes;
    one that is interrupted goes on where it was when the command is given again.
    """
    from bench.cli import scale as command

    return command.scale(**options)


@cli.command()
@click.option("--against", metavar="REV", help="Measure the working tree against this revision.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure it against the sessions that FILE holds of machines like this one.",
)
@click.option("--baseline-from", metavar="REV", help="Read the baseline's file as REV has it.")
@click.option("--record", is_flag=True, help="Append a session to the baseline; by default results/baseline.json.")
@click.option("--ratchet", is_flag=True, help="Move the baseline where a speedup has grown.")
@_backend_option
@_case_options("3-3-1 and 100-100-50-10")
@click.option("--threshold", default="5%", metavar="T", help="The slowdown that is a regression. Default: 5%.")
@click.option("--budget", default=120.0, metavar="SECONDS", help="Measuring at most. Default: 120.")
@click.option("--resume", is_flag=True, help="Go on with a gate that was killed or interrupted, if there is one.")
@click.option("--characterise", is_flag=True, help="Measure the gate itself: see how often it errs.")
@click.option("--sets", default=0, metavar="N", help="With --characterise: record until there are N sets.")
@click.option("--loaded", is_flag=True, help="With --characterise: record beside two busy neighbours.")
@click.option("--markdown", metavar="PATH", help="Write the verdict as Markdown, at the end of PATH.")
@_json_option
@_results_option
def gate(**options: Any) -> int:
    """Say whether a backend has become slower.

    Each row is a backend at a case: one sample forward on both networks and the gradient of a batch of 64 on
    100-100-50-10, for the core backends. Measuring ends when every verdict is clear. Exit status: 0 PASS, 1 FAIL,
    3 INCONCLUSIVE.
    """
    from bench.cli import gate as command

    return command.gate(**options)


@cli.command()
@_quick_option
@click.option("--markdown", metavar="PATH", help="Write the tables as a page of Markdown.")
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
    from bench.cli import commands

    return commands.backends(**options)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    try:
        threads.limit_own_threads()
        with cli.make_context(PROGRAM, list(sys.argv[1:] if argv is None else argv)) as context:
            return int(cli.invoke(context))
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), USAGE_ERROR)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED)
    except OSError as error:  # what this machine cannot do
        return _fail(f"{error.filename or 'the system'}: {error.strerror or error}", USAGE_ERROR)
    except Exception as error:
        if os.environ.get("MLPBENCH_TRACEBACK") == "1":
            traceback.print_exc()
        return _fail(f"{type(error).__name__}: {error}", INTERNAL_ERROR)


def console() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ still gets its table
    sys.exit(main())


def _fail(text: str, status: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return status


def _usage(error: click.ClickException) -> str:
    """What click says, in one line, and where to look for what is right."""
    text = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:
        return text
    if isinstance(context.command, click.Group):
        return f"{text}; commands: {', '.join(context.command.list_commands(context))}"
    return f"{text}; see {context.command_path} --help"
