"""The times of a run, as the entries that the page shows: numbers for the charts, and texts for the reader."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.records.schema import CompileRow, RooflineRow, Run, TimingRow
from bench.report import tables
from bench.roofline.operation_counts import count_operations
from pairbench import statistics
from pairbench.measure import AA_CONTROL

PREFIXES = ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, ""))

Entry = dict[str, Any]
"""What a chart or a table shows of one row, by the name of the field."""


def timing_entries(run: Run) -> list[Entry]:
    """An entry for each row but those of the A/A control. ``cold`` and ``cached`` are seconds of compiling."""
    compiled = {row.backend: row for row in run.compile}
    return [
        _timing_entry(row, tables.marked_interval(row, members), compiled.get(row.backend))
        for _, members in tables.by_case(run.rows)
        for row in members
        if row.arm != AA_CONTROL
    ]


def speedup_entries(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The entries of one sample on the smallest and on the largest network, of each only the first dtype."""
    forward = [entry for entry in entries if (entry["operation"], entry["batch"]) == ("forward", 1)]
    with_speedup = [entry for entry in forward if entry["speedup"] is not None]
    sizes = {entry["network"]: (entry["parameters"], entry["case"]) for entry in reversed(with_speedup)}
    cases = [case for _, case in sorted(sizes.values())]
    return [
        [entry for entry in with_speedup if entry["case"] == case] for case in dict.fromkeys(cases[:1] + cases[-1:])
    ]


def headline(panels: Sequence[Sequence[Entry]]) -> str:
    """A sentence on the fastest backend of each panel of ``speedup_entries``."""
    if not panels:
        return ""
    best = [max(panel, key=lambda entry: float(entry["speedup"])) for panel in panels]
    first = best[0]
    speedups = [entry["speedup_text"].removesuffix(tables.DOUBTFUL) for entry in best]
    parts = [
        f"{first['backend']} computes one sample {speedups[0]} times as fast as {first['reference']} on "
        f"{first['network']}"
    ]
    for entry, speedup in zip(best[1:], speedups[1:], strict=True):
        name = "" if entry["backend"] == first["backend"] else f"{entry['backend']} "
        parts.append(f"{name}{speedup} times as fast on {entry['network']}")
    return ", and ".join(parts) + "."


def compile_entries(run: Run) -> list[Entry]:
    """An entry for each backend that compiles."""
    return [
        {
            "backend": row.backend,
            "cold": row.cold_seconds,
            "cached": row.cached_seconds,
            "cold_text": tables.duration(row.cold_seconds),
            "cached_text": tables.duration(row.cached_seconds),
        }
        for row in run.compile
    ]


def break_even_entries(entries: Sequence[Entry]) -> list[Entry]:
    """For each case, the calls after which each backend that compiles breaks even with the reference."""
    reference_seconds = {entry["case"]: entry["seconds"] for entry in entries if entry["backend"] == entry["reference"]}
    return [
        {
            "case": entry["case"],
            "backend": entry["backend"],
            "cold": _calls(entry["cold"], reference_seconds.get(entry["case"]), entry["seconds"]),
            "cached": _calls(entry["cached"], reference_seconds.get(entry["case"]), entry["seconds"]),
        }
        for entry in entries
        if entry["cold"] is not None
    ]


def roofline_entries(rows: Sequence[TimingRow]) -> list[Entry]:
    """An entry for each row with a lower bound: its operations, their rate, and the highest possible rate."""
    return [
        {
            "case": str(row.case),
            "backend": row.backend,
            "dtype": row.dtype,
            "operations": operations,
            "rate": operations / row.seconds,
            "bound": operations / row.lower_bound_seconds,
            "share_text": tables.part(row.roofline_share),
            "rate_text": _rate(operations / row.seconds),
            "time_text": tables.duration(row.seconds),
            "bound_text": tables.duration(row.lower_bound_seconds),
        }
        for row in rows
        # Without mini-batches the counts are formulas; with them, a count takes a step for each one.
        if row.arm != AA_CONTROL and row.batches is None and row.lower_bound_seconds and row.seconds
        for operations in [count_operations(row.case).operations]
    ]


def peak_entries(limits: Sequence[RooflineRow]) -> list[Entry]:
    """The peak rate of matrix products in each dtype."""
    peaks: dict[str, float] = {}
    for row in limits:
        if row.what == "products" and row.dtype is not None:
            peaks[row.dtype] = max(row.per_second, peaks.get(row.dtype, 0))
    return [
        {"dtype": dtype, "peak": peak, "text": f"peak of matrix products: {_rate(peak)}"}
        for dtype, peak in peaks.items()
        if peak > 0
    ]


def _timing_entry(row: TimingRow, speedup_text: str, compiled: CompileRow | None) -> Entry:
    # The reference has no ratio to itself.
    is_reference = row.arm == row.reference and row.ok and row.seconds is not None
    ratio = None if is_reference else row.speedup
    estimate = 1.0 if is_reference else ratio.estimate if ratio else None
    network = row.case.network
    return {
        "case": str(row.case),
        "network": row.case.title.removeprefix(f"{row.operation} ").partition(", ")[0],
        "parameters": sum((n + 1) * m for n, m in network.shapes),
        "operation": row.operation,
        "batch": row.batch,
        "dtype": row.dtype,
        "backend": row.backend,
        "reference": row.reference,
        "seconds": row.seconds,
        "time_text": tables.duration(row.seconds) if row.ok else "failed",
        "speedup": estimate,
        "low": ratio.low if ratio and ratio.low is not None else estimate,
        "high": ratio.high if ratio and ratio.high is not None else estimate,
        "speedup_text": "1" if is_reference else speedup_text,
        "ulps": row.ulps if row.ok else None,
        "ulps_text": tables.number(row.ulps) if row.ok else tables.NONE,
        "share": row.share if row.ok else None,
        "share_text": f"{tables.number(100 * row.share)} %" if row.ok and row.share is not None else tables.NONE,
        "roofline_share": row.roofline_share,
        "roofline_text": tables.part(row.roofline_share),
        "cold": compiled.cold_seconds if compiled else None,
        "cached": compiled.cached_seconds if compiled else None,
        "reason": row.reason,
    }


def _calls(seconds: float, reference: float | None, backend: float | None) -> str:
    if reference is None or backend is None:
        return tables.NONE
    calls = statistics.break_even(seconds, reference, backend)
    return "never" if calls is None else f"{calls:,}"


def _rate(operations: float) -> str:
    """A rate of operations, to three digits."""
    scale, prefix = next((pair for pair in PREFIXES if operations >= pair[0]), PREFIXES[-1])
    return f"{tables.number(operations / scale)}{prefix} operations/s"
