"""The state of a run that is not finished: kept after each round, and taken up by the next run."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import bench
import impls
from bench.records import files
from bench.records.files import RecordError
from bench.records.schema import ScaleState
from bench.scale import points
from impls import Backend
from pairbench import machine
from pairbench.worker_protocol import Effort

FILE = "scale.partial.json"


def settings(backends: Sequence[Backend], effort: Effort) -> dict[str, Any]:
    """What must be the same for two runs' times to stand beside each other: a JSON object."""
    return {
        "machine": machine.describe(),
        "sources": _digest(backends),
        "backends": [backend.name for backend in backends],
        "effort": asdict(effort),
        "points": {dimension.name: list(dimension.values) for dimension in points.DIMENSIONS},
    }


def begin(path: Path, wanted: dict[str, Any], started: str, fresh: bool) -> ScaleState:
    """The state in the file, if there is one and ``fresh`` does not say to start over; else an empty one.

    Raises RecordError for a file that is corrupt, of another kind, of other settings, or in a place not to be written.
    """
    files.check_destination(path, ScaleState)
    if fresh or not path.exists():
        return ScaleState(settings=wanted, started=started, rows=[], not_run=[], compile=[], processes=[])
    try:
        state = files.read(path, ScaleState)
    except RecordError as error:
        raise RecordError(f"{error}; --fresh starts over") from None
    other = [key for key in wanted if state.settings.get(key) != wanted[key]]
    if other:
        raise RecordError(f"{path} is of a run with other {' and '.join(other)}; --fresh starts over")
    return state


def _digest(backends: Sequence[Backend]) -> str:
    """Digest of the sources: of this project, and of the backends' own modules, which may be a third party's."""
    modules = {Path(inspect.getfile(backend.model)) for backend in backends}
    own = {file for package in (bench, impls) for file in Path(str(package.__file__)).parent.rglob("*.py")}
    digest = hashlib.sha256()
    for file in sorted(modules | own):
        digest.update(file.read_bytes())
    return digest.hexdigest()
