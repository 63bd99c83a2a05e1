"""Command-line options that several commands share."""

from __future__ import annotations

__all__ = ["budget_option", "destination_options", "examples", "threshold_option"]

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import click

from pairbench.cli.destinations import FORMATS, STANDARD_OUTPUT, Destinations

Command = TypeVar("Command", bound=Callable[..., Any])

threshold_option = click.option(
    "--threshold", default="5%", metavar="T", help="Largest accepted slowdown. Default: 5%."
)


def budget_option(seconds: float) -> Callable[[Command], Command]:
    """Add the option for the longest time to measure, with its default."""
    return click.option(
        "--budget",
        default=seconds,
        metavar="SECONDS",
        help=f"Longest time to measure, in seconds. Default: {seconds:g}.",
    )


def destination_options(command: Command) -> Command:
    """Add the options that say where the results go.

    The command gets their values as one, ``destinations``, which do not exclude each other.
    """

    @wraps(command)
    def with_destinations(*arguments: Any, format: str, output: str | None, json: str | None, **options: Any) -> Any:
        destinations = Destinations(format, None if output == STANDARD_OUTPUT else output, json)
        try:
            destinations.check()
        except ValueError as error:
            raise click.ClickException(str(error)) from error
        return command(*arguments, destinations=destinations, **options)

    form = click.option(
        "--format",
        type=click.Choice(FORMATS),
        default=FORMATS[0],
        help="Print a table (the default), or Markdown, or the rows as CSV, or all results as JSON.",
    )
    output = click.option(
        "--output", type=click.Path(), metavar="FILE", help="Write what --format chooses to FILE instead."
    )
    json = click.option(
        "--json", type=click.Path(), metavar="PATH", help="Write the results as JSON, too; '-' prints nothing else."
    )
    return cast(Command, form(output(json(cast(Any, with_destinations)))))


def examples(*lines: str) -> str:
    """The end of a command's help: command lines to try."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])
