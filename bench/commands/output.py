"""Functions shared by the commands: reporting wrong input, checking destinations, showing and storing results."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import click
from rich.console import RenderableType

from bench.proof.problems import UnfitInputs
from bench.records import files, scale_schema, schema, tutorial_schema
from bench.records.remarks import remarks
from bench.report import formats, terminal
from bench.report.layout import Paragraph
from impls import BackendError
from impls._registry import install_command
from pairbench import machine
from pairbench.cli.destinations import STANDARD_OUTPUT, Destinations, check_apart
from pairbench.cli.exit_codes import FINDING, OK
from pairbench.worker_processes import WorkerRefused


@contextmanager
def caller_input() -> Iterator[None]:
    """Report errors caused by the caller's input, or by the limits of this machine, as wrong usage."""
    try:
        yield
    except (BackendError, MemoryError, TypeError, ValueError, WorkerRefused) as error:  # RecordError is a ValueError
        raise click.ClickException(str(error)) from error


@contextmanager
def interruptible(saved: str = "nothing was saved") -> Iterator[None]:
    """Let an interruption say what was saved."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        raise KeyboardInterrupt(str(interruption) or f"interrupted; {saved}") from None


@contextmanager
def measuring() -> Iterator[None]:
    """Report a measurement that the inputs or this machine make impossible as wrong usage."""
    try:
        with interruptible():
            yield
    except (UnfitInputs, MemoryError) as error:  # MemoryError: the network is too large
        raise click.ClickException(str(error)) from error


def check_destinations(destinations: Destinations, kind: type[schema.Record], *others: Path) -> None:
    """Raise ValueError unless a document of this kind can be written to its destinations, apart from other files."""
    if destinations.json is not None and destinations.json != STANDARD_OUTPUT:
        files.check_destination(Path(destinations.json), kind)
    if destinations.output is not None:
        formats.check_destination(Path(destinations.output), destinations.format, kind)
    check_apart(*destinations.files, *others)


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


def show(
    document: schema.Record,
    destinations: Destinations,
    shown: Sequence[RenderableType],
    notes: Sequence[RenderableType] = (),
) -> None:
    """Write the results to their destinations. Where the tables go to a file, only the notes are printed."""
    if destinations.json == STANDARD_OUTPUT:
        terminal.write(files.dumps(document) + "\n")
        return
    try:
        _show_in_format(document, destinations, shown, [*notes, *_remarks(document)])
    finally:  # an error while printing does not lose the document
        if destinations.json is not None:
            with caller_input():
                files.write(Path(destinations.json), document)


def _show_in_format(
    document: schema.Record,
    destinations: Destinations,
    shown: Sequence[RenderableType],
    notes: Sequence[RenderableType],
) -> None:
    form, everything = destinations.format, [*shown, *notes]
    if destinations.output is not None:
        try:
            with caller_input():
                formats.write(Path(destinations.output), form, document, everything)
        except click.ClickException:  # such as a full disk
            terminal.show(*everything)
            raise
        terminal.show(f"{form}: {destinations.output}", *notes)
    elif form == "table":
        terminal.show(*everything)
    else:
        terminal.write(formats.text(form, document, everything))


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
    destinations: Destinations,
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
        show(document, destinations, shown, [*notes, *more_notes])


def status(
    rows: Sequence[schema.TimingRow | schema.ProofRow | tutorial_schema.TutorialRow | scale_schema.ScaleRow],
) -> int:
    """Exit status: FINDING if a row is not ok, else OK."""
    return OK if all(row.ok for row in rows) else FINDING
