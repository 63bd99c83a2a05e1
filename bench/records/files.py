"""Reads and writes result files. A file is written completely or not at all, and never replaces a foreign file."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import TypeVar

import psutil
from pydantic import ValidationError

from bench.records.schema import Document, Latest, Record, Run
from pairbench.visible_text import visible_data

LATEST = "latest.json"
LARGEST = 2**28
"""Bytes of a file beyond which it is not read: its content would not fit the memory."""
UNFINISHED = ".mlpbench-"
"""Prefix of the name of a temporary file; the id of the writing process follows."""

Kind = TypeVar("Kind", bound=Record)


class RecordError(ValueError):
    """A file cannot be read or written; the message names the file and the reason, in one line."""


def dumps(document: Record) -> str:
    """The document as JSON, with its schema as the first key and its strings made visible."""
    data = visible_data(document.model_dump(by_alias=True))
    return json.dumps({"schema": data.pop("schema"), **data}, allow_nan=False, ensure_ascii=False)


def read(path: Path, kind: type[Kind]) -> Kind:
    """Read a document of a given kind. Raises RecordError if the file is missing, corrupt or of another kind."""
    return parse(str(path), read_bytes(path), kind)


def read_bytes(path: Path) -> bytes:
    """The content of a regular file of up to LARGEST bytes. Raises RecordError."""
    try:
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} is not a regular file")
        if path.is_file() and path.stat().st_size > LARGEST:
            raise RecordError(f"{path} has more than {LARGEST} bytes")
        return path.read_bytes()
    except RecordError:
        raise
    except ValueError as error:  # a null character, which no name can have
        raise RecordError(f"cannot read {path}: {error}") from None
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from None


def read_one_of(path: Path, kinds: Sequence[type[Kind]]) -> Kind:
    """Read a document of any of these kinds. Raises RecordError as ``read`` does."""
    content = read_bytes(path)
    schema = _schema(str(path), content)
    by_schema = {kind.model_fields["schema_"].default: kind for kind in kinds}
    if schema not in by_schema:
        raise RecordError(f"{path} has the schema {schema}; expected one of {', '.join(by_schema)}")
    return parse(str(path), content, by_schema[schema])


def parse(name: str, content: bytes, kind: type[Kind]) -> Kind:
    """Parse the content of the file ``name`` as a document of a given kind. Raises RecordError."""
    _check_schema(name, content, kind)
    return _validated(name, content, kind)


def read_part(path: Path, kind: type[Kind]) -> Kind:
    """Read the fields of ``kind`` from a document that has more, which are not checked. Raises RecordError."""
    return _validated(str(path), read_bytes(path), kind)


def _validated(name: str, content: bytes, kind: type[Kind]) -> Kind:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "the document"
        expected = kind.model_fields["schema_"].default
        raise RecordError(f"{name} is not a valid {expected} document: {field}: {first['msg']}") from None


def write(path: Path, document: Record) -> None:
    """Write a document completely or not at all. Raises RecordError."""
    write_bytes(path, (dumps(document) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a temporary file in the same folder, then rename it to ``path``. Raises RecordError."""
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
    """Remove the temporary files of killed processes."""
    for unfinished in folder.glob(f"{UNFINISHED}*-*"):
        process_id = unfinished.name.removeprefix(UNFINISHED).partition("-")[0]
        if process_id.isdecimal() and len(process_id) < 10 and not psutil.pid_exists(int(process_id)):
            with suppress(OSError):
                unfinished.unlink()


def write_results(folder: Path, document: Document) -> Path:
    """Write a document into the results folder under a new name, and return the path."""
    path = folder / f"{document.command}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}.json"
    write(path, document)
    return path


def write_run_and_latest(folder: Path, run: Run) -> Path:
    """Write a run into the results folder, then name its file in ``latest.json``; return the run's path."""
    path = write_results(folder, run)
    write(folder / LATEST, Latest(file=path.name))
    return path


def check_folder(folder: Path) -> None:
    """Make the folder if it is missing. Raises RecordError if ``store`` could not write into it."""
    make_folder(folder)
    if (folder / LATEST).exists():
        try:
            read(folder / LATEST, Latest)
        except RecordError as error:
            raise RecordError(f"{error}; move it away or choose another folder with --results") from None


def make_folder(folder: Path) -> None:
    """Make a folder if it is missing. Raises RecordError if it cannot be made or is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"cannot make the folder {folder}: {error.strerror}") from None
    _check_writable(folder)


def check_destination(path: Path, kind: type[Record]) -> None:
    """Raise RecordError if the path cannot be written, or an existing file is not a document of this kind."""
    check_place(path)
    if path.exists():
        try:
            check_kind(path, kind)
        except RecordError as error:
            raise RecordError(f"{error}; the file is not overwritten; name another one") from None


def check_kind(path: Path, kind: type[Record]) -> None:
    """Raise RecordError if the file is not a document of this kind; only its schema is checked."""
    _check_schema(str(path), read_bytes(path), kind)


def check_place(path: Path) -> None:
    """Raise RecordError if no file can be written at this path, or the path is not a regular file."""
    try:
        if path.is_dir():
            raise RecordError(f"{path} is a folder; name a file")
        if not path.parent.is_dir():
            raise RecordError(f"cannot write {path}: there is no folder {path.parent}")
        _check_writable(path.parent)
        if path.exists() and not path.is_file():
            raise RecordError(f"{path} is not a regular file; name another file, or '-' for standard output")
    except OSError as error:
        raise RecordError(f"cannot write {path}: {error.strerror}") from None


def _check_schema(name: str, content: bytes, kind: type[Record]) -> None:
    """Raise RecordError unless the content is JSON with the schema of this kind."""
    schema = _schema(name, content)
    expected = kind.model_fields["schema_"].default
    if schema != expected:
        raise RecordError(f"{name} has the schema {schema}; expected {expected}")


def _schema(name: str, content: bytes) -> str:
    """The schema that the content names. Raises RecordError unless it is the JSON of an mlpbench document."""
    try:
        document = json.loads(content, parse_constant=_finite, parse_float=_finite)
    except _NotFinite as error:
        raise RecordError(f"{name} holds {error}, which is not a finite number") from None
    except (ValueError, RecursionError):
        raise RecordError(f"{name} is not JSON") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("mlpbench."):
        raise RecordError(f"{name} is not an mlpbench document")
    return schema


class _NotFinite(Exception):
    """A number in a file, as it is written there."""


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise _NotFinite(text)
    return number


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
