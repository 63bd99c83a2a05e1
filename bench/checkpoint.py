"""Checkpoints: what an unfinished long command has measured, in a file of the results folder.

One policy for all of them. A command that is interrupted says how to go on. With ``--resume`` it goes on from its
checkpoint. Without, it begins anew and says what it drops. A checkpoint goes when the results are stored.
"""

from __future__ import annotations

import hashlib
import inspect
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

State = TypeVar("State", bound=CheckpointRecord)
Say = Callable[[str], None]


class Checkpoint(Generic[State]):
    """The checkpoint of a command. ``state`` is the last one that was kept."""

    state: State

    def __init__(self, results: Path, command: str, kind: type[State], say: Say):
        self.path = results / f"{command}.partial.json"
        self._command, self._kind, self._say = command, kind, say
        self._is_writable = True

    def check(self, resume: bool) -> None:
        """Raise RecordError where the file in the way is not a checkpoint of this command, or cannot be resumed."""
        if self.path.parent.is_dir():
            files.check_destination(self.path, self._kind)
        if resume and self.path.exists():
            files.read(self.path, self._kind)

    def begin(self, fresh: State, resume: bool) -> State:
        """The state to go on from: with ``resume`` that of the file, if there is one, else ``fresh``.

        Raises RecordError where the file is corrupt, or was written under other settings.
        """
        self.state = fresh
        if not self.path.exists():
            if resume:
                self._say(f"there is no unfinished {self._command} in {self.path.parent}: this one begins anew")
            return fresh
        if not resume:
            try:
                started = f", begun at {files.read(self.path, self._kind).started}"
            except RecordError:
                started = ""
            self._say(f"dropping the unfinished {self._command} in {self.path}{started}; --resume would go on with it")
            self.clear()
            return fresh
        state = files.read(self.path, self._kind)
        different = [key for key in fresh.settings if state.settings.get(key) != fresh.settings[key]]
        if different:
            raise RecordError(
                f"{self.path} is of a {self._command} with other {' and '.join(different)}; "
                "without --resume it begins anew"
            )
        self._say(f"going on with the {self._command} that was begun at {state.started}")
        self.state = state
        return state

    def save(self, state: State) -> None:
        """Keep a state. Where it cannot be written, that is said once, and the command goes on."""
        self.state = state
        if not self._is_writable:
            return
        try:
            files.make_folder(self.path.parent)
            files.write(self.path, state)
        except RecordError as error:
            self._is_writable = False
            self._say(f"{error}; the {self._command} goes on, and cannot be resumed")

    def clear(self) -> None:
        """Remove the file: its command is done, or another begins."""
        try:
            if self.path.exists():
                self.path.unlink()
        except OSError as error:
            self._say(f"cannot remove {self.path}: {error.strerror}")

    def say_how_to_resume(self) -> None:
        """Say how to go on after an interruption."""
        if self.path.exists():
            self._say("interrupted; the same command with --resume goes on")

    @contextmanager
    def resumable(self) -> Iterator[None]:
        """An interruption in here says how to go on."""
        try:
            yield
        except KeyboardInterrupt:
            self.say_how_to_resume()
            raise


def source_digest(backends: Sequence[Backend]) -> str:
    """Digest of the sources: of this project, and of the backends' own modules, which may be a third party's."""
    modules = {Path(inspect.getfile(backend.model)) for backend in backends}
    packages = (bench, impls, pairbench)
    own = {file for package in packages for file in Path(str(package.__file__)).parent.rglob("*.py")}
    digest = hashlib.sha256()
    for file in sorted(modules | own):
        digest.update(file.read_bytes())
    return digest.hexdigest()
