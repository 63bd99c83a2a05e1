"""The tables of a run on a cluster: those of each bucket, and the spread between buckets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import expm1

from rich.console import RenderableType
from rich.text import Text

from bench.history.index import machine_text
from bench.records.cluster_schema import ClusterRow, ClusterRun, MachineRecord, SpreadRow
from bench.records.schema import ProcessRecord
from bench.report import tables
from bench.report.layout import Paragraph
from bench.report.noise import noise_paragraphs
from pairbench import machine
from pairbench.wording import in_percent


def buckets(document: ClusterRun) -> Iterator[RenderableType]:
    """The tables of each bucket, and below them those of the spread between the buckets."""
    for name, machines in _by_bucket(document).items():
        rows = [row for row in document.rows if row.bucket == name]
        compiled = [row for row in document.compile if row.bucket == name]
        yield Text(f"bucket {name}", style="bold")
        yield Paragraph(machine_text(machine.bucket(machines[0].description)))
        yield Paragraph(f"machines: {', '.join(record.machine for record in machines)}")
        yield ""
        yield from tables.timings(rows)
        yield from tables.untimed(rows)
        yield from tables.compiling(compiled, rows)
        yield from _disturbed(rows)
    yield from _spread(document.spreads)


def noise(document: ClusterRun) -> Iterator[RenderableType]:
    """The notes on the noise of each machine that has been used."""
    machines = _by_bucket(document)
    for name, records in machines.items():
        for record in records:
            processes = [process for process in document.processes if process.machine == record.machine]
            rows = [row for row in document.rows if row.bucket == name and record.machine in row.machines]
            if len(document.machines) > 1:
                yield f"{record.machine}:"
            yield from noise_paragraphs(rows, processes, record.description.get("cpus") or 1)


def disturbances(processes: Sequence[ProcessRecord]) -> list[Paragraph]:
    """A sentence for each disturbance of the processes, with the cases that it concerns."""
    cases: dict[str, dict[str, None]] = {}
    for process in processes:
        for text in process.disturbances:
            cases.setdefault(text, {}).update((sample.case.title, None) for sample in process.samples)
    return [Paragraph(f"Disturbed: {text}, during {'; '.join(titles)}.") for text, titles in cases.items()]


def _by_bucket(document: ClusterRun) -> dict[str, list[MachineRecord]]:
    """The machines of each bucket that has rows."""
    found: dict[str, list[MachineRecord]] = {}
    for name in dict.fromkeys(row.bucket for row in document.rows):
        found[name] = [record for record in document.machines if record.bucket == name]
    return found


def _disturbed(rows: Sequence[ClusterRow]) -> Iterator[RenderableType]:
    texts: dict[str, dict[str, None]] = {}
    for row in rows:
        for text in row.disturbances:
            texts.setdefault(text, {})[row.case.title] = None
    for text, titles in texts.items():
        yield Paragraph(f"Disturbed: {text}, during {'; '.join(titles)}.")
    yield from [""] if texts else []


def _spread(rows: Sequence[SpreadRow]) -> Iterator[RenderableType]:
    if not rows:
        return
    yield Text("spread of the speedups between buckets", style="bold")
    table = tables.plain("case", "backend", "buckets", "speedup", "spread", "I²", left=2)
    for row in rows:
        table.add_row(
            f"{row.case.title}, {row.dtype}",
            row.arm,
            str(row.buckets),
            tables.interval(row.speedup),
            in_percent(expm1(row.between), 1),
            in_percent(row.share),
        )
    yield table
    yield Paragraph(
        "The speedup of an average bucket, with its 95 % interval, by the random-effects model of DerSimonian and "
        "Laird. spread: standard deviation of the buckets' own speedups. I²: share of the variance of the measured "
        "speedups that is due to the buckets, and not to errors of measurement. With few buckets both are rough."
    )
    yield ""
