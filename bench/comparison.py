"""Compares results files: runs of ``mlpbench run``, or JSON files of pytest-benchmark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.history.imported import imported_results, load_json
from bench.records import files
from bench.records.comparison_schema import ComparedRow
from bench.records.sample_table import SampleTable
from bench.records.schema import Ratio, Run
from pairbench.measure import AA_CONTROL
from pairbench.statistics import ratio_interval, unpaired_ratio

HARDWARE = ("cpu", "architecture", "cpus", "node")
"""What must be equal for times to be compared. Libraries may differ: their effect is what is compared."""


@dataclass(frozen=True)
class Series:
    """Logarithms of a backend's seconds and of its speedups at a case, one of each per process."""

    seconds: Sequence[float]
    speedups: Sequence[float]


@dataclass(frozen=True)
class StoredResults:
    """The series of a results file, and the machine on which they were measured."""

    path: str
    machine: Mapping[str, Any]
    series: Mapping[str, Series]


def read_results(path: Path) -> StoredResults:
    """Read a run, or a JSON file of pytest-benchmark. Raises RecordError."""
    imported = imported_results(path, load_json(path))
    if imported is not None:
        series = {row.series: Series([math.log(row.seconds)], []) for row in imported.rows}
        return StoredResults(str(path), imported.machine, series)
    run = files.read(path, Run)
    return StoredResults(str(path), run.machine, dict(_series(run)))


def _series(run: Run) -> Iterator[tuple[str, Series]]:
    table = SampleTable(run.processes, {(row.case, row.arm) for row in run.rows if not row.ok})
    # A reference that does not support a dtype was timed in another one.
    references = {replace(row.case, dtype=""): row.case for row in run.rows if row.arm == row.reference}
    for row in run.rows:
        seconds = table.log_seconds((row.case, row.arm))
        if row.arm != AA_CONTROL and seconds:
            reference = references.get(replace(row.case, dtype=""), row.case)
            speedups = table.log_ratios((reference, row.reference), (row.case, row.arm))
            yield f"{row.backend}: {row.case}", Series(seconds, [] if row.arm == row.reference else speedups)


def machine_differences(first: StoredResults, other: StoredResults) -> list[str]:
    """A sentence for each difference of the machines, those of the hardware first."""
    flat = [_flat(results.machine) for results in (first, other)]
    keys = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key)]
    return [
        f"{key}: {flat[0].get(key, 'none')} in {first.path}, {flat[1].get(key, 'none')} in {other.path}"
        for key in sorted(keys, key=lambda key: key not in HARDWARE)
    ]


def is_same_hardware(first: StoredResults, other: StoredResults) -> bool:
    """Whether times of the two may be compared: not if a file does not say on which processor it was measured."""
    return bool(first.machine.get("cpu")) and all(first.machine.get(key) == other.machine.get(key) for key in HARDWARE)


def unmatched_series(first: StoredResults, other: StoredResults) -> list[str]:
    """A sentence for each series that only one of the two has."""
    return [
        f"only in {one.path}: {name}"
        for one, another in ((first, other), (other, first))
        for name in one.series
        if name not in another.series
    ]


def compare_results(first: StoredResults, other: StoredResults) -> list[ComparedRow]:
    """A row for each series that both have. Raises ValueError if there is none, or none can be compared."""
    common = [name for name in first.series if name in other.series]
    if not common:
        raise ValueError(f"{first.path} and {other.path} have no series in common")
    same = is_same_hardware(first, other)
    rows = [_compared(name, first.series[name], other, same) for name in common]
    if all(row.time_ratio is None and row.speedup_ratio is None for row in rows):
        raise ValueError(
            f"{first.path} and {other.path} are from different machines, whose times are not comparable, and have no "
            f"speedups: {'; '.join(machine_differences(first, other)) or 'the processor is not named'}"
        )
    return rows


def _compared(name: str, series: Series, other: StoredResults, same_hardware: bool) -> ComparedRow:
    opposite = other.series[name]
    both = bool(series.speedups and opposite.speedups)
    return ComparedRow(
        series=name,
        file=other.path,
        first_seconds=math.exp(median(series.seconds)),
        seconds=math.exp(median(opposite.seconds)),
        time_ratio=Ratio.of(unpaired_ratio(series.seconds, opposite.seconds)) if same_hardware else None,
        first_speedup=_speedup(series.speedups),
        speedup=_speedup(opposite.speedups),
        speedup_ratio=Ratio.of(unpaired_ratio(opposite.speedups, series.speedups)) if both else None,
    )


def _speedup(speedups: Sequence[float]) -> Ratio | None:
    interval = ratio_interval([[speedup] for speedup in speedups])
    return None if interval is None else Ratio.of(interval)


def _flat(machine: Mapping[str, Any]) -> dict[str, str]:
    """The description with an entry for each library and each variable."""
    flat = {}
    for key, value in machine.items():
        entries = value.items() if isinstance(value, Mapping) else [("", value)]
        flat.update({f"{key} {name}".strip(): str(entry) for name, entry in entries})
    return flat
