"""Checkpoints: files in the results folder that hold the results so far of a long command.

All long commands treat checkpoints alike. An interrupted command reports how to resume it. With ``--resume`` a command
continues from its checkpoint. Without ``--resume`` it starts over, renames an existing checkpoint, and reports the new
name. The checkpoint, also a renamed one, is removed when the results are stored.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

import bench
import impls
import pairbench
from bench.records import files
from bench.records.files import RecordError
from bench.records.schema import CheckpointRecord
from impls import Backend
from pairbench.visible_text import visible_data

State = TypeVar("State", bound=CheckpointRecord)
Say = Callable[[str], None]


class Checkpoint(Generic[State]):
    """The checkpoint of a command. ``state`` is the last state that was saved."""

    state: State

    def __init__(self, results: Path, command: str, kind: type[State], say: Say):
        self.path = results / f"{command}.partial.json"
        self.replaced = results / f"{command}.partial.old.json"
        self._command, self._kind, self._say = command, kind, say
        self._is_writable = True

    def check(self, resume: bool) -> None:
        """Raise RecordError if the file is not a checkpoint of this command, or, with ``resume``, cannot be read."""
        if not self.path.exists():
            return
        try:
            files.check_kind(self.path, self._kind)
            if resume:
                self._read()
        except RecordError as error:
            raise RecordError(f"{error}; remove it, or choose another results folder") from None

    def begin(self, fresh: State, resume: bool) -> State:
        """The state to start from: with ``resume`` the state in the file if it exists, else ``fresh``.

        Without ``resume`` an existing checkpoint is renamed. Raises RecordError as ``check`` does, and if the file to
        resume has other settings.
        """
        self.check(resume)
        self.state = fresh
        if not self.path.exists():
            if resume:
                self._say(f"there is no unfinished {self._command} in {self.path.parent} to resume; starting a new one")
            return fresh
        if not resume:
            self._replace()
            return fresh
        state = self._read()
        different = [key for key, value in fresh.settings.items() if state.settings.get(key) != visible_data(value)]
        if different:
            raise RecordError(
                f"cannot resume {self.path}: it was written with other {' and '.join(different)}; "
                "choose another results folder, or start over without --resume, which replaces it"
            )
        self._say(f"resuming the {self._command} that was started at {state.started}")
        self.state = state
        return state

    def save(self, state: State) -> None:
        """Write a state to the file. If that fails, report the first failure; the command continues."""
        self.state = state
        if not self._is_writable:
            return
        try:
            files.make_folder(self.path.parent)
            files.write(self.path, _with_digest(state))
        except RecordError as error:
            self._is_writable = False
            self._say(f"{error}; the {self._command} continues, but cannot be resumed")

    def clear(self) -> None:
        """Remove the file and the replaced one, if they exist."""
        for path in (self.path, self.replaced):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                self._say(f"cannot remove {path}: {error.strerror}")

    def interruption(self) -> str:
        """What to report after an interruption: what is saved, and how to resume."""
        return f"interrupted; {self.saved()}"

    def saved(self) -> str:
        """What is saved, and how to resume."""
        if not self.path.exists():
            return "nothing was saved"
        return f"{self.path} has the results so far; to continue, repeat the command with --resume"

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """Context in which a KeyboardInterrupt is raised again with the text of ``interruption``."""
        try:
            yield
        except KeyboardInterrupt:
            raise KeyboardInterrupt(self.interruption()) from None

    def _read(self) -> State:
        """The state in the file. Raises RecordError."""
        state = files.read(self.path, self._kind)
        if state != _with_digest(state):
            raise RecordError(f"{self.path} is damaged: its content does not match its digest")
        return state.model_copy(update={"digest": ""})

    def _replace(self) -> None:
        """Rename the file, so that a run that was started without ``--resume`` by mistake loses nothing."""
        try:
            started = f", started at {files.read(self.path, self._kind).started},"
        except RecordError:
            started = ""
        try:
            self.path.replace(self.replaced)
        except OSError as error:
            raise RecordError(f"cannot rename {self.path} to {self.replaced}: {error.strerror}") from None
        self._say(
            f"starting a new {self._command}; until it ends, the unfinished one{started} is kept as {self.replaced}"
        )


def _with_digest(state: State) -> State:
    """The state with the digest of its other fields."""
    content = files.dumps(state.model_copy(update={"digest": ""}))
    # A state that was read back holds 1.0 where the state that was saved may hold 1.
    with_floats = json.dumps(json.loads(content, parse_int=float))
    return state.model_copy(update={"digest": hashlib.sha256(with_floats.encode()).hexdigest()})


def source_digest(backends: Sequence[Backend]) -> str:
    """Digest of the sources of this project and of the modules of the backends, which may be a third party's."""
    backend_files = {Path(inspect.getfile(backend.model)) for backend in backends}
    packages = (bench, impls, pairbench)
    project_files = {file for package in packages for file in Path(str(package.__file__)).parent.rglob("*.py")}
    digest = hashlib.sha256()
    for file in sorted(backend_files | project_files):
        digest.update(file.read_bytes())
    return digest.hexdigest()
