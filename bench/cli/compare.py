"""Declares the command ``compare`` and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bench.cli.shared_options import (
    backend_names,
    destination_options,
    quick_option,
    timed_case_options,
)
from pairbench.cli.options import examples

FOR_FILES = {"names", "pictures", "format", "output", "json"}
"""The parameters that results files may have; the others choose what is measured."""


def names_or_files(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """The names of backends and of JSON files for shell completion that begin with what is typed."""
    files = [path.as_posix() for path in Path().glob(f"{typed}*.json")] if not Path(typed).is_absolute() else []
    return [*backend_names(context, parameter, typed), *files]


def is_file(name: str) -> bool:
    """Whether a name is that of a results file rather than of a backend."""
    return Path(name).suffix == ".json" or Path(name).is_file()


def check_names(context: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names, which must be two backends, or two or more results files. Raises UsageError."""
    kinds = [is_file(name) for name in names]
    if len(names) < 2 or len(set(kinds)) > 1 or (len(names) > 2 and not kinds[0]):
        raise click.UsageError("name two backends, or two or more results files (.json)", context)
    return names


@click.command(epilog=examples("mlpbench compare numpy_plain numba_simd --quick", "mlpbench compare a.json b.json"))
@click.argument("names", nargs=-1, metavar="A B...", callback=check_names, shell_complete=names_or_files)
@quick_option
@timed_case_options("float64", "float64 (the default) or float32.")
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Of files: draw comparison.svg into DIR.")
@destination_options
@click.pass_context
def compare(context: click.Context, /, names: tuple[str, ...], pictures: str | None, **options: Any) -> int:
    """Compare two backends, or results files.

    Two backends are measured: time of A ÷ time of B, with its interval, for each case. Results are stored only with
    --json. Files of `mlpbench run`, and JSON files of pytest-benchmark, are compared as they are, the first with each
    of the others.
    """
    from bench.commands import compare as command

    if not is_file(names[0]):
        if pictures is not None:
            raise click.UsageError("--pictures draws the comparison of results files")
        return command.compare_backends(*names, **options)
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in FOR_FILES and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{parameter.opts[0]} chooses what is measured; results files are compared as they are"
            )
    return command.compare_files(names, pictures=pictures, destinations=options["destinations"])
