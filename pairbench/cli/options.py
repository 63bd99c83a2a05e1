"""Command-line options that several commands share, and where results go."""

from __future__ import annotations

__all__ = ["examples"]

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from pairbench.option_values import check_file
from pairbench.visible_text import visible, visible_data

Command = TypeVar("Command", bound=Callable[..., Any])

FORMATS = ("table", "markdown", "csv", "json")
STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Rendering:
    """The results of a command in every format."""

    table: Callable[[], str]
    markdown: Callable[[], str]
    csv: Callable[[], str]
    document: Mapping[str, Any]

    def text(self, form: str) -> str:
        """The results in a format of ``FORMATS``."""
        if form == "json":
            return json.dumps(visible_data(self.document), indent=1, allow_nan=False) + "\n"
        return {"table": self.table, "markdown": self.markdown, "csv": self.csv}[form]()


@dataclass(frozen=True)
class Destinations:
    """Results go to ``output`` in ``format``, and as JSON to ``json``, too.

    ``output`` None is standard output. ``json`` None is nowhere; "-" is standard output, which then has nothing else.
    """

    format: str
    output: str | None
    json: str | None

    def check(self) -> None:
        """Raise ClickException unless the files can be written, before anything is measured."""
        if self.json == STANDARD_OUTPUT and (self.format != FORMATS[0] or self.output is not None):
            raise click.ClickException(
                "--json - is the only output; name a file for --json beside --format or --output"
            )
        files = [name for name in (self.output, self.json) if name not in (None, STANDARD_OUTPUT)]
        if len({Path(name).resolve() for name in files if name}) < len(files):
            raise click.ClickException(f"{files[0]} would be written twice; name another file")
        for path in (Path(name) for name in files if name):
            try:
                check_file(path)
            except ValueError as error:
                raise click.ClickException(str(error)) from error

    def show(self, results: Rendering) -> None:
        """Write the results."""
        if self.json == STANDARD_OUTPUT:
            _print(results.text("json"))
            return
        try:
            if self.output is None:
                _print(results.text(self.format))
            else:
                Path(self.output).write_text(results.text(self.format), encoding="utf-8")
        finally:  # an error while printing does not lose the document
            if self.json is not None:
                Path(self.json).write_text(results.text("json"), encoding="utf-8")


def destination_options(command: Command) -> Command:
    """Add the options that say where the results go. The command gets their values as one, ``destinations``."""

    @wraps(command)
    def with_destinations(*arguments: Any, format: str, output: str | None, json: str | None, **options: Any) -> Any:
        destinations = Destinations(format, None if output == STANDARD_OUTPUT else output, json)
        destinations.check()
        return command(*arguments, destinations=destinations, **options)

    form = click.option(
        "--format",
        type=click.Choice(FORMATS),
        default=FORMATS[0],
        help="Print a table (the default), or Markdown, or the rows as CSV, or all results as JSON.",
    )
    output = click.option("--output", type=click.Path(), metavar="FILE", help="Write what --format chooses to FILE.")
    json = click.option(
        "--json", type=click.Path(), metavar="PATH", help="Write the results as JSON, too; '-' prints nothing else."
    )
    return cast(Command, form(output(json(cast(Any, with_destinations)))))


def examples(*lines: str) -> str:
    """The end of a command's help: command lines to try."""
    return "\n".join(["\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)])


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the names of the first row's fields as the header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(visible_data(list(rows)))
    return stream.getvalue()


def say(text: str) -> None:
    """Print a line to standard error. An error while writing is ignored."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"pairbench: {visible(text)}", file=sys.stderr, flush=True)


def _print(text: str) -> None:
    """Write to standard output. A reader that closes the pipe early, such as ``head``, is not an error."""
    if sys.stdout is not None:
        with suppress(BrokenPipeError):
            sys.stdout.write(text)
            sys.stdout.flush()
