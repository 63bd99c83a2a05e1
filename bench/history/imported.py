"""Reads the results of pytest-benchmark and of asv into the history.

The formats: pytest-benchmark's storage folder has a JSON file per run (``benchmarks`` with ``stats``); asv's results
folder has a folder per machine, with ``machine.json`` and a JSON file per commit and environment (``result_columns``).
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.history.times import parse_time
from bench.records import files
from bench.records.files import RecordError
from bench.records.history_schema import ImportedResults, SeriesRow

TIME = re.compile("time(raw)?_", re.IGNORECASE)
"""How the functions begin that asv times. It measures others, such as mem_, in other units."""
NO_RESULTS = "holds no times of pytest-benchmark (a JSON file of --benchmark-json) or of asv"


def read_imports(place: Path) -> tuple[list[ImportedResults], list[str]]:
    """The results in a file, or in a folder and its subfolders, and a reason for each file that cannot be read.

    Files of other programs in a folder are passed over. Raises RecordError if there are no results, or a file that is
    named itself cannot be read.
    """
    if not place.exists():
        raise RecordError(f"there is no file or folder {place}")
    if not place.is_dir():
        imported = imported_results(place, load_json(place))
        if imported is None or not imported.rows:
            raise RecordError(f"{place} {NO_RESULTS}")
        return [imported], []
    found, unread = [], []
    for path in sorted(place.rglob("*.json")):
        try:
            imported = imported_results(path, load_json(path))
        except RecordError as error:
            unread.append(str(error))
        else:
            found += [imported] if imported is not None and imported.rows else []
    if not found:
        raise RecordError("; ".join([f"{place} {NO_RESULTS}", *unread]))
    return found, unread


def stored_name(imported: ImportedResults) -> str:
    """The name of the file in which the results are stored; the same results always get the same name."""
    content = files.dumps(imported.model_copy(update={"origin": ""}))
    return f"imported-{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"


def load_json(path: Path) -> Any:
    """The content of a JSON file of another program. Raises RecordError."""
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
    names = [benchmark["fullname"] for benchmark in content["benchmarks"]]
    if len(set(names)) < len(names):
        raise ValueError("two benchmarks have the same name")
    return ImportedResults(
        origin=str(path),
        started=parse_time(content["datetime"]).isoformat(),
        commit=None if commit.get("dirty") else commit.get("id"),
        machine=_known(
            cpu=(info.get("cpu") or {}).get("brand_raw") or info.get("processor"),
            python=info.get("python_version"),
            node=info.get("node"),
        ),
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
        combinations = product(*(cell.get("params") or []))
        for seconds, combination in zip(cell.get("result") or [], combinations, strict=False):
            if isinstance(seconds, int | float) and seconds > 0:  # None and NaN: the benchmark failed
                series = f"{name}({', '.join(combination)})" if combination else name
                rows.append(SeriesRow(series=series, speedup=None, seconds=float(seconds)))
    return ImportedResults(
        origin=str(path),
        started=datetime.fromtimestamp(content["date"] / 1000, UTC).isoformat(timespec="seconds"),
        commit=content["commit_hash"],
        machine=_known(
            cpu=params.get("cpu"),
            python=content.get("python"),
            node=params.get("machine"),
            environment=content.get("env_name"),
        ),
        rows=rows,
    )


def _known(**description: Any) -> dict[str, str]:
    return {key: str(value) for key, value in description.items() if value}
