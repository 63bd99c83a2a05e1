"""The state of a gate that is not finished: kept after each set, and taken up by ``--resume``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import GateState

FILE = "gate.partial.json"


def begin(
    path: Path, settings: dict[str, Any], failures: dict[str, dict[str, str]], started: str, resume: bool
) -> GateState:
    """An empty state; with ``resume`` the one in the file if there is one. Raises RecordError where it does not fit."""
    if not (resume and path.exists()):
        return GateState(settings=settings, started=started, sets=[], failures=failures, deaths={})
    state = files.read(path, GateState)
    other = [key for key in settings if state.settings.get(key) != settings[key]]
    if other:
        raise RecordError(f"{path} is of a gate with other {' and '.join(other)}; without --resume it starts over")
    return state.model_copy(update={"failures": {**state.failures, **failures}})


class StateKeeper:
    """Holds the last state and keeps it in a file; where that cannot be, it says so once and goes on."""

    def __init__(self, path: Path, state: GateState, say: Callable[[str], None]):
        self.state = state
        self._path, self._say = path, say
        self._works = True

    def __call__(self, state: GateState) -> None:
        """Keep a state."""
        self.state = state
        if not self._works:
            return
        try:
            files.make_folder(self._path.parent)
            files.write(self._path, state)
        except RecordError as error:
            self._works = False
            self._say(f"{error}; the gate goes on, and cannot be resumed")


def forget(path: Path, say: Callable[[str], None]) -> None:
    """Remove the file: its gate is over, or another begins."""
    try:
        if path.exists():
            path.unlink()
    except OSError as error:
        say(f"cannot remove {path}: {error.strerror}")
