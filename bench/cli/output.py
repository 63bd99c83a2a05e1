"""What the commands share: how bad input is reported, and where the results go."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click
from rich.console import RenderableType

from bench.cli.exit_codes import FINDING, OK
from bench.proof.problems import UnfitInputs
from bench.records import files, schema
from bench.report import terminal
from impls import BackendError
from pairbench.worker_processes import WorkerRefused

STANDARD_OUTPUT = "-"


@contextmanager
def caller_input() -> Iterator[None]:
    """What goes wrong in here is the caller's input, or what this machine cannot hold or run."""
    try:
        yield
    except (BackendError, MemoryError, TypeError, ValueError, WorkerRefused) as error:  # RecordError is a ValueError
        raise click.ClickException(str(error)) from error


@contextmanager
def measuring() -> Iterator[None]:
    """A measurement that this machine or these inputs do not allow ends the command in one line."""
    try:
        yield
    except (UnfitInputs, MemoryError) as error:  # MemoryError: a network beyond this machine
        raise click.ClickException(str(error)) from error


def check_json_path(json_path: str | None, kind: type[schema.Record]) -> None:
    """Raise RecordError where ``--json`` could not write at the end."""
    if json_path is not None and json_path != STANDARD_OUTPUT:
        files.check_destination(Path(json_path), kind)


def picture_module(name: str) -> ModuleType:
    """A module that draws. Raises ValueError where its libraries are not installed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f"pictures need {error.name}, which is not installed: pip install 'mlpbench[report]'"
        ) from error


def pictures_folder(name: str) -> Path:
    """The folder for pictures, made if it is missing. Raises ValueError where it cannot be."""
    if not name:
        raise ValueError("--pictures needs the name of a folder")
    files.make_folder(Path(name))
    return Path(name)


def show(document: schema.Record, json_path: str | None, *renderables: RenderableType) -> None:
    """Print the tables, and write the document where ``--json`` says; on standard output it stands alone."""
    if json_path == STANDARD_OUTPUT:
        terminal.write(files.dumps(document) + "\n")
        return
    try:
        terminal.show(*renderables)
    finally:  # what cannot be shown is written, and what cannot be written was shown
        if json_path is not None:
            with caller_input():
                files.write(Path(json_path), document)


def store_and_show(
    store: Callable[[], Sequence[str]],
    document: schema.Record,
    json_path: str | None,
    shown: Sequence[RenderableType],
    notes: Sequence[str],
) -> None:
    """Store results and show them. ``store`` returns lines that are shown last.

    What cannot be stored is shown all the same, and what cannot be shown is stored.
    """
    more_notes: Sequence[str] = []
    try:
        more_notes = store()
    finally:
        show(document, json_path, *shown, *notes, *more_notes)


def status(
    rows: Sequence[schema.TimingRow | schema.ProofRow | schema.TutorialRow | schema.ScaleRow],
) -> int:
    """Exit status: a finding where a row is not right."""
    return OK if all(row.ok for row in rows) else FINDING
