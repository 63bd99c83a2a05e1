"""The index of a results folder: what the history needs of each stored run, so that a run is read only once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.cases import OPERATIONS, Case
from bench.history.times import parse_time
from bench.records import files
from bench.records.files import RecordError
from bench.records.history_schema import HistoryIndex, ImportedResults, IndexedFile, RunSummary, SeriesRow
from impls import Network
from pairbench import machine
from pairbench.measure import AA_CONTROL
from pairbench.visible_text import visible_data

INDEX = "history-index.json"
STORED: dict[str, type[RunSummary | ImportedResults]] = {"run-*.json": RunSummary, "imported-*.json": ImportedResults}
"""The files that the history shows, and what it reads of them."""


def read_index(folder: Path) -> HistoryIndex:
    """Bring the index of a folder up to date and return it; files that are new or changed are read.

    The index is written back if that is possible: without it, the next call reads all files again.
    """
    known = {}
    with suppress(RecordError):  # missing, damaged or of an earlier version: all files are read again
        known = {file.name: file for file in files.read_part(folder / INDEX, HistoryIndex).files}
    current = [_indexed(path, known.get(path.name)) for path in stored_files(folder)]
    index = HistoryIndex(files=current)
    if current != list(known.values()):
        with suppress(RecordError):
            files.write(folder / INDEX, index)
    return index


def stored_files(folder: Path) -> list[Path]:
    """The files of a folder that the history shows, by name."""
    return sorted(path for pattern in STORED for path in folder.glob(pattern))


def is_stored(name: str) -> bool:
    """Whether a name is that of a file that the history reads or writes."""
    return name == INDEX or any(fnmatch(name, pattern) for pattern in STORED)


def _indexed(path: Path, known: IndexedFile | None) -> IndexedFile:
    try:
        status = path.stat()
    except OSError as error:  # such as a broken link
        return IndexedFile(name=path.name, bytes=0, modified_ns=0, reason=f"cannot read {path}: {error.strerror}")
    if (
        known is not None
        and not known.reason  # what could not be read may be readable now
        and (known.bytes, known.modified_ns) == (status.st_size, status.st_mtime_ns)
    ):
        return known
    entry = IndexedFile(name=path.name, bytes=status.st_size, modified_ns=status.st_mtime_ns)
    kind = next(kind for pattern, kind in STORED.items() if path.match(pattern))
    try:
        return entry.model_copy(update=_summary(path, files.read_part(path, kind)))
    except RecordError as error:
        return entry.model_copy(update={"reason": str(error)})


def _summary(path: Path, stored: RunSummary | ImportedResults) -> dict[str, object]:
    """The fields of an entry. Raises RecordError if nothing can have been measured so."""
    try:
        parse_time(stored.started)
        if isinstance(stored, ImportedResults):
            commit, described, rows = stored.commit, machine_text(stored.machine), stored.rows
        else:
            source = stored.source
            commit = None if source is None or source.changed else source.commit
            described, rows = _bucket_text(path, stored.machine), list(_series_rows(stored))
    except RecordError:
        raise
    except ValueError as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise RecordError(f"{path} is no run that can have been measured: {reason}") from None
    return {"started": stored.started, "commit": commit, "machine": described, "rows": rows}


def _bucket_text(path: Path, description: Mapping[str, Any]) -> str:
    try:
        return machine_text(machine.bucket(description))
    except (KeyError, AttributeError, TypeError):
        raise RecordError(f"{path} does not describe its machine") from None


def _series_rows(run: RunSummary) -> Iterator[SeriesRow]:
    """A row for each backend with a speedup. The reference and its A/A control have none of their own."""
    for row in run.rows:
        if row.arm not in (AA_CONTROL, row.reference) and row.seconds is not None and row.speedup is not None:
            functions = row.hidden, row.output, row.loss
            case = _case(
                tuple(row.layer_sizes),
                functions,
                row.operation,
                row.batch,
                row.dtype,
                row.threads,
                row.epochs,
                row.batches,
            )
            yield SeriesRow(series=f"{row.backend}: {case}", speedup=row.speedup, seconds=row.seconds)


@cache
def _case(sizes: tuple[int, ...], functions: tuple[str, str, str], *others: Any) -> str:
    """The name of a case, of which a folder has few. Raises ValueError if there is no such case."""
    case = Case(Network(sizes, *functions), *others)
    if case.operation not in OPERATIONS or min(case.batch, case.threads, case.epochs, case.batches or 1) < 1:
        raise ValueError(f"the case {case}")
    return str(case)


def own_machine() -> str:
    """The description of this machine in a line."""
    return machine_text(machine.bucket(machine.describe()))


def machine_text(bucket: Mapping[str, Any]) -> str:
    """A description of a machine in a line."""
    return ", ".join(f"{key} {_text(value)}" for key, value in visible_data(dict(bucket)).items())


def _text(value: Any) -> str:
    match value:
        case dict():
            return " ".join(f"{key}={entry}" for key, entry in value.items())
        case list():
            return " ".join(map(str, value))
        case _:
            return str(value)
