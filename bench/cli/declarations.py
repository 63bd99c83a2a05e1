"""Declares the commands and their options. Options that several commands share are in ``shared_options``.

A command imports its modules when it runs, so that ``--help`` is quick and the thread counts are set before NumPy is
imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.cli.exit_codes import FINDING
from bench.cli.shared_options import (
    backend_names,
    backend_option,
    baseline_option,
    budget_option,
    case_options,
    function_options,
    json_option,
    one_of,
    peers_option,
    quick_option,
    results_option,
    resume_option,
    say_former,
    threads_option,
)
from pairbench.error_text import describe_error

PROGRAM = "mlpbench"
PROJECT = Path(__file__).resolve().parents[2]


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
def cli() -> None:
    """Prove several implementations of one neural network equal, and time them.

    Exit status: 0 success, 1 a wrong or failed backend or a FAIL of the gate, 2 wrong usage or input, 3 an INCONCLUSIVE
    gate, 4 an internal error, 130 interrupted.
    """


@cli.command()
@quick_option
@peers_option
@backend_option
@case_options("3-3-1, 3-3-3-1 and 100-100-50-10")
@function_options
@threads_option
@click.option(
    "--dtype",
    metavar="D",
    shell_complete=one_of("float64", "float32"),
    help="float64 or float32. Default: float64; with --peers, both.",
)
@click.option(
    "--roofline",
    is_flag=True,
    help="Also measure the peak rates of this machine, and show each backend's share of the roofline.",
)
@click.option("--limits", is_flag=True, hidden=True)
@json_option
@results_option
def run(limits: bool, **options: Any) -> int:
    """Time backends, and print and store the speedups.

    Wrong backends get no time. Without --backend and --peers: the core backends. The reference, python_loops, is always
    timed. A default run takes two minutes; --quick takes half a minute and leaves out the compile times. Large networks
    and batches take longer: a run says how long before it begins.
    """
    from bench.cli import run as command

    if limits:
        say_former("--limits", "--roofline")
        options["roofline"] = True
    return command.run(**options)


@cli.command()
@click.argument("a", metavar="A", shell_complete=backend_names)
@click.argument("b", metavar="B", shell_complete=backend_names)
@quick_option
@case_options("3-3-1, 3-3-3-1 and 100-100-50-10")
@function_options
@threads_option
@click.option(
    "--dtype",
    default="float64",
    metavar="D",
    shell_complete=one_of("float64", "float32"),
    help="float64 (the default) or float32.",
)
@json_option
def compare(a: str, b: str, **options: Any) -> int:
    """Time two backends against each other.

    For each case: time of A ÷ time of B, with its interval. Results are stored only with --json.
    """
    from bench.cli import run as command

    return command.compare(a, b, **options)


@cli.command()
@click.argument("names", nargs=-1, metavar="[B]...", shell_complete=backend_names)
@peers_option
@json_option
def verify(names: tuple[str, ...], **options: Any) -> int:
    """Prove that backends compute exact results.

    Each result must equal the exact one within a bound on the rounding error. B is a name that `mlpbench backends`
    lists; by default, the core backends are proved. Then the proof is tried on mutants, which are backends with a
    deliberate fault: it must reject each of them.
    """
    from bench.cli import verify as command

    return command.verify(names, **options)


@cli.command()
@click.argument(
    "keys", nargs=-1, metavar="[KEY]...", shell_complete=one_of("feedforward", "circles", "miniflow", "xor")
)
@peers_option
@backend_option
@click.option("--boston", is_flag=True, help="Fetch the Boston house prices for miniflow, instead of load_diabetes.")
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw the pictures, as SVG, into DIR.")
@resume_option
@json_option
@results_option
def tutorials(keys: tuple[str, ...], **options: Any) -> int:
    """Reproduce the figures that public tutorials print.

    KEY is feedforward, circles, miniflow or xor; by default all of them. The tables compare each printed figure with
    the values that the backends compute, and each printed time with the time on this machine. numpy_vectorized always
    runs, because the other backends are compared with it.
    """
    from bench.cli import tutorials as command

    return command.tutorials(keys, **options)


@cli.command("documents", params=tutorials.params, hidden=True)
@click.pass_context
def documents(context: click.Context, /, **options: Any) -> Any:
    """Run ``tutorials`` by its former name."""
    say_former("mlpbench documents", "mlpbench tutorials")
    return context.invoke(tutorials, **options)


@cli.command()
@peers_option
@backend_option
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw scale.svg into DIR.")
@resume_option
@json_option
@results_option
def scale(**options: Any) -> int:
    """Show how time grows with width, depth and batch size.

    One of the three grows at a time, from a base of 32-32-32 and one sample. Below the tables: the crossovers, which
    are the sizes from which one backend is faster than another, and the break-even points of compiling. Without
    --backend and --peers: the core backends; python_loops is always timed. Calls that are predicted to take over a
    second are not run. The command takes four minutes.
    """
    from bench.cli import scale as command

    return command.scale(**options)


@cli.command()
@click.option("--against", metavar="REV", help="Measure the working tree against this revision.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Measure the working tree against the sessions in FILE of machines like this one.",
)
@click.option("--baseline-from", metavar="REV", help="Read the baseline's file from revision REV.")
@backend_option
@case_options("3-3-1 and 100-100-50-10", "forward and gradient; forward for 3-3-1")
@click.option("--threshold", default="5%", metavar="T", help="Largest accepted slowdown. Default: 5%.")
@budget_option
@resume_option
@click.option("--markdown", type=click.Path(), metavar="PATH", help="Append the verdict, as Markdown, to PATH.")
@json_option
@results_option
def gate(**options: Any) -> int:
    """Test whether a backend has become slower.

    Each row is a backend and a case. Default: the core backends, with the forward pass of one sample on 3-3-1 and on
    100-100-50-10, and the gradient of a batch of 64 on 100-100-50-10. The head is the working tree. PASS: with 95%
    confidence, the slowdown is below the threshold. FAIL: the head is wrong, or it is slower and the estimated slowdown
    is above the threshold; at most 1% of the gates without a slowdown suspect one. INCONCLUSIVE: the budget ended
    before the rounds showed either; raise --budget, or choose fewer rows. Exit status: 0 PASS, 1 FAIL, 3 INCONCLUSIVE.
    """
    try:
        from bench.cli import gate as command
    except Exception as error:
        if PROJECT not in (Path.cwd(), *Path.cwd().parents):
            raise
        # The working tree holds the head and the gate, so a head that cannot be imported ends the gate itself.
        click.echo(f"FAIL: the head cannot be imported: {describe_error(error)}")
        return FINDING
    return command.gate(**options)


@cli.group(no_args_is_help=False)
def baseline() -> None:
    """Record, show or update the stored baseline.

    `mlpbench gate --baseline` compares the working tree with it.
    """


@baseline.command()
@baseline_option
@backend_option
@case_options("3-3-1 and 100-100-50-10", "forward and gradient; forward for 3-3-1")
@budget_option
@json_option
def record(**options: Any) -> int:
    """Measure a session, and append it to the baseline.

    The rows are those of `mlpbench gate`. A verdict needs ten sessions of machines like this one.
    """
    from bench.cli import baseline as command

    return command.record(**options)


@baseline.command()
@baseline_option
@json_option
def show(**options: Any) -> int:
    """Show the recorded sessions, and the speedups that they predict."""
    from bench.cli import baseline as command

    return command.show(**options)


@baseline.command()
@baseline_option
@backend_option
@case_options("3-3-1 and 100-100-50-10", "forward and gradient; forward for 3-3-1")
@budget_option
@json_option
def accept(**options: Any) -> int:
    """Accept the gains of the rows that became faster.

    A session is measured first.
    """
    from bench.cli import baseline as command

    return command.accept(**options)


@cli.command("error-rates")
@click.option(
    "--rounds",
    type=int,
    metavar="N",
    help="Record N rounds first, at about 1.5 seconds each, after a minute of compiling and calibrating.",
)
@click.option("--loaded", is_flag=True, help="Record while two other processes keep the CPUs busy.")
@click.option(
    "--budget",
    default=120.0,
    metavar="SECONDS",
    help="Budget of the gate whose error rates are shown, in seconds. Default: 120. It does not limit the recording.",
)
@resume_option
@json_option
@results_option
def error_rates(**options: Any) -> int:
    """Show the error rates of the gate and of other rules.

    The rates are computed from the recordings in results/gate/. A recording holds rounds of one revision against
    itself, with delays planted in calls of the head.
    """
    from bench.cli import error_rates as command

    return command.error_rates(**options)


@cli.command()
@quick_option
@click.option("--markdown", type=click.Path(), metavar="PATH", help="Write the tables to PATH, as Markdown.")
@resume_option
@json_option
@results_option
def speed(**options: Any) -> int:
    """Compare the fastest backends with goals.

    numba_simd is timed against numpy_plain, numpy_vectorized and all installed peers, in both dtypes, on fixed cases;
    against the same arithmetic in C, if there is a C compiler; and against the roofline of this machine. A goal that is
    missed does not change the exit status. The command takes ten minutes, and longer if the peers have to compile;
    --quick takes five.
    """
    from bench.cli import speed as command

    return command.speed(**options)


@cli.command()
@json_option
def backends(**options: Any) -> int:
    """List the backends, installed and missing."""
    from bench.cli import backends as command

    return command.backends(**options)
