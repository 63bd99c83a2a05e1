"""The results of a command in each format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from bench.records import csv_rows, files
from bench.records.files import RecordError
from bench.records.schema import Record
from bench.report import markdown, terminal


def text(form: str, document: Record, renderables: Sequence[RenderableType]) -> str:
    """The results as text: all of the document, its rows, or what the terminal shows, without its colours."""
    match form:
        case "json":
            return files.dumps(document) + "\n"
        case "csv":
            return csv_rows.dumps(document)
        case "markdown":
            return markdown.page(renderables)
        case _:
            return terminal.rendered(*renderables)


def write(path: Path, form: str, document: Record, renderables: Sequence[RenderableType]) -> None:
    """Write the results to a file, which begins with a title if it is made for people. Raises RecordError."""
    titled = [Text(_title(type(document)), style="bold"), "", *renderables]
    files.write_bytes(path, text(form, document, titled).encode())


def check_destination(path: Path, form: str, kind: type[Record]) -> None:
    """Raise RecordError if ``write`` cannot write to the path, or an existing file is not from such a ``write``."""
    if form == "json":
        files.check_destination(path, kind)
        return
    files.check_place(path)
    title = _title(kind)
    first = {"table": title, "markdown": f"**{title}**", "csv": ",".join(csv_rows.columns(kind))}[form]
    if path.exists() and files.read_bytes(path).partition(b"\n")[0] != first.encode():
        raise RecordError(f"{path} is not a {form} of {title} and is not overwritten; name another file")


def _title(kind: type[Record]) -> str:
    """The name of a kind of document, such as mlpbench run."""
    schema: str = kind.model_fields["schema_"].default
    return schema.partition("/")[0].replace(".", " ")
