"""Reads the results of pytest-benchmark and of asv into the history.

The formats: pytest-benchmark's storage folder has a JSON file per run (``benchmarks`` with ``stats``); asv's results
folder has a folder per machine, with ``machine.json`` and a JSON file per commit and environment (``result_columns``).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.records import files
from bench.records.files import RecordError
from bench.records.history_schema import ImportedResults, SeriesRow

TIME = re.compile("time(raw)?_", re.IGNORECASE)
"""How the functions begin that asv times. It measures others, such as mem_, in other units."""

LARGEST = 2**28
"""Bytes of a file beyond which it is refused."""


def read_imports(place: Path) -> Iterator[ImportedResults]:
    """The results in a file or in a folder, searched recursively. Files of other programs in a folder are passed over.

    Raises RecordError if a file cannot be read, or if there are no results.
    """
    if not place.exists():
        raise RecordError(f"there is no file or folder {place}")
    paths = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    found = False
    for path in paths:
        content = load_json(path)
        imported = imported_results(path, content)
        if imported is not None and imported.rows:
            found = True
            yield imported
    if not found:
        raise RecordError(f"{place} holds no results of pytest-benchmark (a JSON file of --benchmark-json) or of asv")


def stored_name(imported: ImportedResults) -> str:
    """The name of the file in which the results are stored; the same results always get the same name."""
    digest = hashlib.sha256(imported.model_dump_json().encode()).hexdigest()
    return f"imported-{digest[:16]}.json"


def load_json(path: Path) -> Any:
    """The content of a JSON file of another program. Raises RecordError."""
    if path.is_file() and path.stat().st_size > LARGEST:
        raise RecordError(f"{path} has more than {LARGEST} bytes")
    content = files.read_bytes(path)
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise RecordError(f"{path} is not JSON") from None


def imported_results(path: Path, content: Any) -> ImportedResults | None:
    """The content of a JSON file as results of another program; None if it is none. Raises RecordError."""
    if not isinstance(content, dict):
        return None
    try:
        if "benchmarks" in content and "machine_info" in content:
            return _of_pytest_benchmark(path, content)
        if "result_columns" in content and "commit_hash" in content:
            return _of_asv(path, content)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else repr(error)
        raise RecordError(f"{path} is a damaged result file: {reason}") from None
    return None


def _of_pytest_benchmark(path: Path, content: dict[str, Any]) -> ImportedResults:
    info, commit = content["machine_info"], content.get("commit_info") or {}
    cpu = info.get("cpu") or {}
    return ImportedResults(
        origin=str(path),
        started=str(content["datetime"]),
        commit=None if commit.get("dirty") else commit.get("id"),
        machine={
            "cpu": str(cpu.get("brand_raw") or info.get("processor")),
            "python": str(info.get("python_version")),
            "node": str(info.get("node")),
        },
        rows=[
            SeriesRow(series=str(benchmark["fullname"]), speedup=None, seconds=benchmark["stats"]["median"])
            for benchmark in content["benchmarks"]
            if benchmark.get("stats") and benchmark["stats"]["median"]
        ],
    )


def _of_asv(path: Path, content: dict[str, Any]) -> ImportedResults:
    params = content["params"]
    rows = []
    for name, values in content["results"].items():
        if not TIME.match(name.rpartition(".")[2]):
            continue
        cell = dict(zip(content["result_columns"], values, strict=False))
        combinations = list(product(*(cell.get("params") or [])))
        for seconds, combination in zip(cell.get("result") or [], combinations, strict=False):
            if isinstance(seconds, int | float) and seconds > 0:  # None and NaN: the benchmark failed
                series = f"{name}({', '.join(combination)})" if combination else name
                rows.append(SeriesRow(series=series, speedup=None, seconds=float(seconds)))
    return ImportedResults(
        origin=str(path),
        started=datetime.fromtimestamp(content["date"] / 1000, UTC).isoformat(timespec="seconds"),
        commit=content["commit_hash"],
        machine={
            "cpu": str(params.get("cpu")),
            "python": str(content.get("python")),
            "node": str(params.get("machine")),
            "environment": str(content.get("env_name")),
        },
        rows=rows,
    )
