"""The results of a command in every format, and what is written to the standard streams."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pairbench.cli.destinations import STANDARD_OUTPUT, Destinations
from pairbench.option_values import check_file
from pairbench.visible_text import visible, visible_data


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

    def write(self, destinations: Destinations) -> None:
        """Write the results to their destinations."""
        if destinations.json == STANDARD_OUTPUT:
            _print(self.text("json"))
            return
        try:
            if destinations.output is None:
                _print(self.text(destinations.format))
            else:
                Path(destinations.output).write_text(self.text(destinations.format), encoding="utf-8")
        finally:  # an error while printing does not lose the document
            if destinations.json is not None:
                Path(destinations.json).write_text(self.text("json"), encoding="utf-8")


def check_files(destinations: Destinations) -> None:
    """Raise ValueError unless the files can be written."""
    for path in destinations.files:
        check_file(path)


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
