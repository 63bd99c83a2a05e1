"""The results files of a report: which files, and what is in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records import files
from bench.records.error_rate_schema import ErrorRates
from bench.records.files import RecordError
from bench.records.scale_schema import Scale
from bench.records.schema import Proof, Run
from bench.records.speed_schema import Speed
from bench.records.tutorial_schema import Tutorials

KINDS: dict[str, Any] = {
    "run": Run,
    "scale": Scale,
    "speed": Speed,
    "tutorials": Tutorials,
    "verify": Proof,
    "error-rates": ErrorRates,
}
"""The kinds of documents that a report shows, by the command that makes them."""
NOT_SHOWN = "scale-out"
"""The command whose files a report does not show, although their names begin like those of ``scale``."""


@dataclass(frozen=True)
class Sources:
    """At most one document of each kind."""

    run: Run | None = None
    scale: Scale | None = None
    speed: Speed | None = None
    tutorials: Tutorials | None = None
    verify: Proof | None = None
    error_rates: ErrorRates | None = None


def latest(folder: Path) -> list[Path]:
    """The file of each kind that was written last into a results folder."""
    paths = []
    for command in KINDS:
        named = [path for path in folder.glob(f"{command}*.json") if not path.name.startswith(NOT_SHOWN)]
        found = [path for path in named if ".partial" not in path.suffixes and path.is_file()]
        if found:
            paths.append(max(found, key=lambda path: path.stat().st_mtime))
    return paths


def read(paths: Iterable[Path]) -> Sources:
    """Read results files. Raises RecordError for a file that is no such document, and for a second one of a kind."""
    documents: dict[str, Any] = {}
    places: dict[str, Path] = {}
    for path in paths:
        document = files.read_one_of(path, tuple(KINDS.values()))
        command = next(command for command, kind in KINDS.items() if type(document) is kind)
        if command in places:
            raise RecordError(f"{places[command]} and {path} are both of `mlpbench {command}`; name one of them")
        places[command] = path
        documents[command.replace("-", "_")] = document
    return Sources(**documents)
