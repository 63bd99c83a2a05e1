"""Command-line options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from bench.cluster.connection import LOCAL
from bench.commands.case_options import CaseOptions
from bench.commands.cluster_options import ClusterOptions
from pairbench.cli import options as common_options
from pairbench.cli.destinations import Destinations

CLUSTER_WORKERS = 2
CLUSTER_ONLY = ("cluster_workers", "tls_ca_file", "tls_cert", "tls_key", "insecure_cluster")

Command = TypeVar("Command", bound=Callable[..., Any])

OUTPUT_ACTIVATIONS = ("sigmoid", "tanh", "relu", "identity", "softmax")

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


def one_of(*words: str) -> Completion:
    """The words for shell completion that begin with what is typed."""

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        return [word for word in words if word.startswith(typed)]

    return complete


def backend_names(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The names of backends for shell completion that begin with what is typed."""
    import impls

    return one_of(*impls.names())(context, parameter, typed)


peers_option = click.option("--peers", is_flag=True, help="Include the peers: libraries that could be used instead.")
backend_option = click.option(
    "--backend",
    multiple=True,
    metavar="B",
    shell_complete=backend_names,
    help="A backend, as `mlpbench backends` lists them; may be repeated.",
)
quick_option = click.option("--quick", is_flag=True, help="Measure in 6 processes instead of 10, with fewer samples.")
results_option = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    metavar="DIR",
    help="Folder for the results, by default ./results.",
)
resume_option = click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted run. Without this option, a new run starts, and the unfinished one is kept until the "
    "new one ends.",
)
budget_option = common_options.budget_option(240.0)
baseline_option = click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    default=Path("results/baseline.json"),
    metavar="FILE",
    help="File with the recorded sessions, by default results/baseline.json.",
)
threads_option = click.option(
    "--threads",
    type=int,
    default=1,
    metavar="N",
    help="Number of threads for BLAS, numba_simd and the peers, up to the number of CPUs. Default: 1.",
)


def case_options(default: str, operations: str) -> Callable[[Command], Command]:
    """Add the options that select the cases, other than the dtype. ``default`` and ``operations`` are the defaults."""

    def decorate(command: Command) -> Command:
        operation = click.option(
            "--operation",
            multiple=True,
            metavar="O",
            shell_complete=one_of("forward", "gradient", "train"),
            help=f"forward, gradient or train; may be repeated. Default: {operations}.",
        )
        batch = click.option(
            "--batch",
            multiple=True,
            type=int,
            metavar="N",
            help="Number of samples in a batch; may be repeated. Default: 1 and 64.",
        )
        network = click.option(
            "--network",
            multiple=True,
            metavar="N",
            help=f"Layer sizes, such as 20-40-5; may be repeated. Default: {default}.",
        )
        return network(operation(batch(command)))

    return decorate


gate_case_options = case_options("3-3-1 and 100-100-50-10", "forward and gradient; forward for 3-3-1")


def function_options(command: Command) -> Command:
    """Add the options that choose the activations and the loss of all networks."""
    hidden = click.option(
        "--hidden",
        default="sigmoid",
        metavar="F",
        shell_complete=one_of("sigmoid", "tanh", "relu"),
        help="Activation of the hidden layers: sigmoid (the default), tanh or relu.",
    )
    output = click.option(
        "--output-activation",
        default="sigmoid",
        metavar="F",
        shell_complete=one_of(*OUTPUT_ACTIVATIONS),
        help="Activation of the outputs: sigmoid (the default), tanh, relu, identity or softmax.",
    )
    loss = click.option(
        "--loss",
        default="half_squared_error",
        metavar="L",
        shell_complete=one_of(
            "half_squared_error", "mean_squared_error", "binary_cross_entropy", "categorical_cross_entropy"
        ),
        help="half_squared_error (the default), mean_squared_error, binary_cross_entropy, which needs sigmoid outputs, "
        "or categorical_cross_entropy, which needs softmax.",
    )
    return hidden(output(loss(command)))


def timed_case_options(dtype: str | None, dtype_help: str) -> Callable[[Command], Command]:
    """Add all options that choose the cases to time. The command gets their values as one, ``chosen``.

    ``dtype`` is the default of --dtype.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_cases(*arguments: Any, **values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(CaseOptions)}
            return command(*arguments, chosen=CaseOptions(**own), **values)

        dtype_option = click.option(
            "--dtype", default=dtype, metavar="D", shell_complete=one_of("float64", "float32"), help=dtype_help
        )
        which = case_options("3-3-1, 3-3-3-1 and 100-100-50-10", "all three; forward for 3-3-3-1")
        return which(function_options(threads_option(dtype_option(cast(Command, with_cases)))))

    return decorate


def cluster_options(command: Command) -> Command:
    """Add the options that describe a cluster. The command gets their values as one, ``cluster``, or None."""

    @wraps(command)
    def with_cluster(*arguments: Any, cluster: str | None, **options: Any) -> Any:
        own = {name: options.pop(name) for name in CLUSTER_ONLY}
        if cluster is None and (given := [name for name, value in own.items() if value not in (None, False)]):
            raise click.UsageError(f"--{given[0].replace('_', '-')} needs --cluster")
        if own["cluster_workers"] is None:
            own["cluster_workers"] = CLUSTER_WORKERS
        described = None if cluster is None else ClusterOptions(cluster, **own)
        return command(*arguments, cluster=described, **options)

    decorated: Any = with_cluster
    for option in reversed(
        (
            click.option(
                "--cluster",
                is_flag=False,
                flag_value=LOCAL,
                metavar="[ADDRESS]",
                help="Measure on a Dask cluster: a new one on this machine, or that of a scheduler, such as "
                "tls://HOST:8786, or of a scheduler file.",
            ),
            click.option(
                "--cluster-workers",
                type=int,
                metavar="N",
                help=f"Number of workers of a new cluster. Default: {CLUSTER_WORKERS}.",
            ),
            click.option("--tls-ca-file", type=click.Path(), metavar="FILE", help="Certificate of the authority."),
            click.option("--tls-cert", type=click.Path(), metavar="FILE", help="Certificate of this process."),
            click.option("--tls-key", type=click.Path(), metavar="FILE", help="Key of that certificate."),
            click.option(
                "--insecure-cluster",
                is_flag=True,
                help="Allow connections to other machines that are not encrypted.",
            ),
        )
    ):
        decorated = option(decorated)
    return cast(Command, decorated)


def destination_options(command: Command) -> Command:
    """Add the options that say where the results go. The command gets their values as one, ``destinations``.

    An activation, which was once the value of --output, is refused.
    """

    @wraps(command)
    def checked(*arguments: Any, destinations: Destinations, **values: Any) -> Any:
        if destinations.output in OUTPUT_ACTIVATIONS:
            activation = f"--output-activation {destinations.output}"
            raise click.UsageError(f"--output names a file; the activation is {activation}")
        return command(*arguments, destinations=destinations, **values)

    return cast(Command, common_options.destination_options(checked))


def say_former(former: str, current: str) -> None:
    """Tell that a name is a former one."""
    from bench.report import terminal

    terminal.say(f"{former} is now called {current}")
