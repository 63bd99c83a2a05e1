"""The command ``pairbench compare``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING, INTERRUPTED, OK
from pairbench.cli.options import budget_option, destination_options, examples
from pairbench.cli.rendering import Rendering, check_files


@click.command(epilog=examples('pairbench compare "math:sqrt" "cmath:sqrt" --setup "package.data:make"'))
@click.argument("reference")
@click.argument("candidates", nargs=-1, required=True, metavar="CANDIDATE...")
@click.option(
    "--setup",
    metavar="FUNCTION",
    help="A function that returns a tuple of new arguments for each call. Without it, the functions are called without "
    "arguments.",
)
@click.option(
    "--processes",
    default=1,
    metavar="N",
    help="Measure in this number of fresh processes. Default: 1, in the process of the command, which is quick.",
)
@budget_option(5.0)
@destination_options
def compare(
    *,
    reference: str,
    candidates: tuple[str, ...],
    setup: str | None,
    processes: int,
    budget: float,
    destinations: Destinations,
) -> int:
    """Time functions against a reference, and compare their results with those of the reference.

    REFERENCE and each CANDIDATE are named by module and name, such as package.module:function. They are imported from
    the current folder, its src folder, or the environment. Exit status: 0 success, 1 a candidate fails, has another
    result, or cannot be timed.
    """
    from pairbench import comparing
    from pairbench.functions import FunctionSet
    from pairbench.results_check import RTOL

    sys.path[:0] = [str(folder) for folder in (Path.cwd(), Path.cwd() / "src") if folder.is_dir()]
    status = OK
    try:
        check_files(destinations)
        loaded = {name: _load(name) for name in dict.fromkeys(candidates)}
        arguments = None if setup is None else _load(setup)
        functions = FunctionSet.of(_load(reference), loaded, (), None, arguments)
        measurement = comparing.start(functions, processes, budget, collection=False, timeout=60.0)
        try:
            comparing.measure(measurement, functions)
        except KeyboardInterrupt:
            if not measurement.processes:
                raise
            status = INTERRUPTED
        comparison = comparing.describe(measurement, functions, comparing.judge_of(None, RTOL, 0.0), collection=False)
    except ValueError as error:  # CompareError, too
        raise click.ClickException(str(error)) from error
    # Two functions of different modules may have the same name.
    comparison = replace(comparison, reference=replace(comparison.reference, name=reference))
    rendering(comparison).write(destinations)
    return status or (OK if comparison.ok else FINDING)


def _load(text: str) -> Any:
    """Import a function by its name. Raises ValueError."""
    from pairbench.function_workload import FunctionName
    from pairbench.workload import WorkloadError, failure_reason

    name = FunctionName.parse(text)
    try:
        return name.load()
    except WorkloadError as error:
        raise ValueError(str(error)) from error
    except (Exception, SystemExit) as error:  # importing runs the module
        raise ValueError(f"{text} cannot be imported: {failure_reason(error)}") from error


def rendering(comparison: Any) -> Rendering:
    """A comparison in every format."""
    from pairbench import comparison_views
    from pairbench.visible_text import one_line

    def text() -> str:
        lines = [*comparison_views.aligned(comparison), "", *map(one_line, comparison_views.notes(comparison))]
        return "\n".join(line.rstrip() for line in lines) + "\n"

    return Rendering(text, comparison.to_markdown, comparison.to_csv, {"command": "compare", **comparison.to_json()})
