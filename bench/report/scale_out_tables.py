"""The tables and sentences of ``mlpbench scale-out``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from bench.records.scale_out_schema import CostsRecord, ScaleOut
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.wording import counted

REFERENCE = "numba_simd in parts"


def scale_out(document: ScaleOut) -> Iterator[RenderableType]:
    """All tables: the measured epochs, the costs, the simulated epochs, and the break-even points."""
    for samples, group in groupby(document.rows, key=lambda row: row.samples):
        members = list(group)
        table = tables.plain("method", "epoch", f"speedup over {REFERENCE}", "peak memory", "of bound")
        for row in members:
            memory = tables.NONE if row.peak_bytes is None else f"{row.peak_bytes / 1e6:.0f} MB"
            share = tables.NONE if row.share is None else f"{tables.number(100 * row.share)} %"
            is_reference = row.method == REFERENCE
            speedup = "1" if is_reference and row.seconds else tables.interval(row.speedup)
            table.add_row(row.method, tables.duration(row.seconds), speedup, memory, share)
        yield Text(f"{samples} samples, partitions of {members[0].partition_rows}", style="bold")
        yield table
        yield from (tables.item(f"{row.method}: {row.reason}") for row in members if row.reason)
        yield ""
    yield Paragraph(
        "peak memory: the largest of the processes that compute. of bound: largest error of the loss and the "
        "parameters after the first epoch, in % of the bound; scikit-learn has other updates and no exact value."
    )
    if document.costs is not None:
        yield ""
        yield from _costs(document.costs)
        yield ""
        yield from _simulated(document)


def _costs(costs: CostsRecord) -> Iterator[RenderableType]:
    table = tables.plain("cost of distribution", "measured")
    for what, value in (
        ("an epoch without work", tables.duration(costs.fixed_seconds)),
        ("a partition, beside its samples", tables.duration(costs.partition_seconds)),
        ("a task that waits for another", tables.duration(costs.latency_seconds)),
        ("sending the parameters to all workers", tables.duration(costs.broadcast_seconds)),
        ("bandwidth to a worker", f"{costs.bytes_per_second / 1e6:.0f} MB/s"),
        ("a sample in one process, without Dask", tables.duration(costs.sample_seconds)),
    ):
        table.add_row(what, value)
    yield Text(f"costs on a cluster of {counted(costs.workers, 'worker')} on this machine", style="bold")
    yield table


def _simulated(document: ScaleOut) -> Iterator[RenderableType]:
    counts = list(dict.fromkeys(row.samples for row in document.simulated))
    found = {(row.samples, row.workers): row for row in document.simulated}
    table = tables.plain("workers", *(f"{count:.0e} samples".replace("e+0", "e") for count in counts))
    for workers in dict.fromkeys(row.workers for row in document.simulated):
        cells = [found[count, workers] for count in counts]
        table.add_row(
            str(workers), *(f"{tables.duration(cell.seconds)}, {tables.number(cell.speedup)} ×" for cell in cells)
        )
    yield Text("simulated epoch, and speedup over one process", style="bold")
    yield table
    for row in document.break_even:
        gain = f"from {row.samples} samples on" if row.samples else "never"
        yield tables.item(f"{counted(row.workers, 'worker')} are faster than one process without Dask {gain}")
