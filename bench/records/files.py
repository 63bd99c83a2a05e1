"""Result files: written whole or not at all, and nothing overwritten that is not ours."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import psutil
from pydantic import ValidationError

from bench.records.schema import Document, Latest, Record, Run

LATEST = "latest.json"
UNFINISHED = ".mlpbench-"
"""How the name of a file begins that is being written; the number of the process that writes it follows."""

Kind = TypeVar("Kind", bound=Record)


class RecordError(ValueError):
    """A file that cannot be read or written; the text names it and says what is wrong, in one line."""


def dumps(document: Record) -> str:
    """The document as JSON, its schema first."""
    data = document.model_dump(mode="json", by_alias=True)
    return json.dumps({"schema": data.pop("schema"), **data}, allow_nan=False, ensure_ascii=False)


def read(path: Path, kind: type[Kind]) -> Kind:
    """Read a document of one kind. Raises RecordError for a file that is missing, corrupt or something else."""
    return parse(str(path), _content(path), kind)


def parse(name: str, content: bytes, kind: type[Kind]) -> Kind:
    """Read a document of one kind from what a file of this name holds. Raises RecordError."""
    found, wanted = _schema(name, content), kind.model_fields["schema_"].default
    if found != wanted:
        raise RecordError(f"{name} is of schema {found}; {wanted} is wanted")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise RecordError(f"{name} is not a valid {wanted} document: {place}: {first['msg']}") from None


def write(path: Path, document: Record) -> None:
    """Write a document, whole or not at all. Raises RecordError."""
    write_bytes(path, (dumps(document) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write into a temporary file beside the path, which then takes its name. Raises RecordError."""
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{UNFINISHED}{os.getpid()}-")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from None


def remove_unfinished(folder: Path) -> None:
    """Remove the files that processes which were killed had begun to write."""
    for left in folder.glob(f"{UNFINISHED}*-*"):
        number = left.name.removeprefix(UNFINISHED).partition("-")[0]
        if number.isdecimal() and len(number) < 10 and not psutil.pid_exists(int(number)):
            with suppress(OSError):
                left.unlink()


def keep(folder: Path, document: Document) -> Path:
    """Write a document into the results folder, under a name of its own."""
    path = folder / f"{document.command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}.json"
    write(path, document)
    return path


def store(folder: Path, run: Run) -> Path:
    """Write a run's file into the results folder, then the file that names it as the last one."""
    path = keep(folder, run)
    write(folder / LATEST, Latest(file=path.name))
    return path


def check_folder(folder: Path) -> None:
    """Raise RecordError unless ``store`` can write into the folder, which is made if it is missing."""
    make_folder(folder)
    if (folder / LATEST).exists():
        try:
            read(folder / LATEST, Latest)
        except RecordError as error:
            raise RecordError(f"{error}; move it away or choose another folder with --results") from None


def make_folder(folder: Path) -> None:
    """Make a folder if it is missing. Raises RecordError where that, or writing into it, does not work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder {folder}: {error.strerror}") from None
    _check_writable(folder)


def check_destination(path: Path, kind: type[Record]) -> None:
    """Raise RecordError unless the path can be written and what is there already is a document of this kind."""
    check_place(path)
    if not path.exists():
        return
    try:
        found, wanted = _schema(str(path), _content(path)), kind.model_fields["schema_"].default
        if found != wanted:
            raise RecordError(f"{path} is of schema {found}")
    except RecordError as error:
        raise RecordError(f"{error}; it is not overwritten, name another file") from None


def check_place(path: Path) -> None:
    """Raise RecordError unless a file can be written under this path, and what is there already is one."""
    try:
        if path.is_dir():
            raise RecordError(f"{path} is a folder; name a file")
        if not path.parent.is_dir():
            raise RecordError(f"cannot write {path}: there is no folder {path.parent}")
        _check_writable(path.parent)
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} is no regular file; name another, or '-' for standard output")
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from None


def _content(path: Path) -> bytes:
    if path.exists() and not path.is_file():
        raise RecordError(f"{path} is no regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from None


def _schema(name: str, content: bytes) -> str:
    """The schema that a document of ours names. Raises RecordError for anything else."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise RecordError(f"{name} is not JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("mlpbench."):
        raise RecordError(f"{name} is not an mlpbench document")
    return schema


def _check_writable(folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise RecordError(f"cannot write into {folder}: {error.strerror}") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
