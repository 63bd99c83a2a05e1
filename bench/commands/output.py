"""Functions shared by the commands: reporting wrong input, checking destinations, showing and storing results."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click
from rich.console import RenderableType

from bench.commands.exit_codes import FINDING, OK
from bench.proof.problems import UnfitInputs
from bench.records import files, scale_schema, schema, tutorial_schema
from bench.records.remarks import remarks
from bench.report import terminal
from bench.report.layout import Paragraph
from impls import BackendError
from impls._registry import install_command
from pairbench import machine
from pairbench.worker_processes import WorkerRefused

STANDARD_OUTPUT = "-"


@contextmanager
def caller_input() -> Iterator[None]:
    """Report errors caused by the caller's input, or by the limits of this machine, as wrong usage."""
    try:
        yield
    except (BackendError, MemoryError, TypeError, ValueError, WorkerRefused) as error:  # RecordError is a ValueError
        raise click.ClickException(str(error)) from error


@contextmanager
def measuring() -> Iterator[None]:
    """Report a measurement that the inputs or this machine make impossible as wrong usage."""
    try:
        yield
    except (UnfitInputs, MemoryError) as error:  # MemoryError: the network is too large
        raise click.ClickException(str(error)) from error


def check_json_path(json_path: str | None, kind: type[schema.Record]) -> None:
    """Raise RecordError if ``--json`` cannot write a document of this kind to the path."""
    if json_path is not None and json_path != STANDARD_OUTPUT:
        files.check_destination(Path(json_path), kind)


def check_threads(threads: int) -> None:
    """Raise ValueError unless there is a usable CPU for every thread."""
    most = machine.cpus_usable()
    if not 1 <= threads <= most:
        raise ValueError(f"--threads must be from 1 to {most}, the number of usable CPUs; got {threads}")


def picture_module(name: str) -> ModuleType:
    """Import a module that draws pictures. Raises ValueError if its libraries are not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        command = install_command("mlpbench[report]")
        raise ValueError(f"pictures need {error.name}, which is not installed: {command}") from error


def pictures_folder(name: str) -> Path:
    """The folder for pictures, created if it is missing. Raises ValueError if that fails."""
    if not name:
        raise ValueError("--pictures needs the name of a folder")
    if Path(name).is_file():
        raise ValueError(f"{name} is a file; name a folder for --pictures")
    files.make_folder(Path(name))
    return Path(name)


def show(document: schema.Record, json_path: str | None, *renderables: RenderableType) -> None:
    """Print the tables and write the document to ``json_path``. With "-", print the document alone."""
    if json_path == STANDARD_OUTPUT:
        terminal.write(files.dumps(document) + "\n")
        return
    try:
        terminal.show(*renderables, *_remarks(document))
    finally:  # an error while printing does not lose the document
        if json_path is not None:
            with caller_input():
                files.write(Path(json_path), document)


def _remarks(document: schema.Record) -> list[Paragraph]:
    """What to know about the circumstances of a document's times; the notes of a gate have it already."""
    if not isinstance(document, schema.Document) or hasattr(document, "notes"):
        return []
    processes: Sequence[schema.ProcessRecord] = getattr(document, "processes", [])
    conditions = [reading for process in processes for reading in process.conditions]
    return list(map(Paragraph, remarks(document.machine, document.source, conditions)))


def store_and_show(
    store: Callable[[], Sequence[str]],
    document: schema.Record,
    json_path: str | None,
    shown: Sequence[RenderableType],
    notes: Sequence[RenderableType],
) -> None:
    """Store the results with ``store``, whose lines are shown last, and show them even if storing fails.

    A failure to store, such as a full disk, is reported as wrong usage, in one line.
    """
    more_notes: Sequence[str] = []
    try:
        with caller_input():
            more_notes = store()
    finally:
        show(document, json_path, *shown, *notes, *more_notes)


def status(
    rows: Sequence[schema.TimingRow | schema.ProofRow | tutorial_schema.TutorialRow | scale_schema.ScaleRow],
) -> int:
    """Exit status: FINDING if a row is not ok, else OK."""
    return OK if all(row.ok for row in rows) else FINDING
