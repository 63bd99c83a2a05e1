"""The schema of the documents of ``mlpbench scale-out``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from bench.records.schema import CheckpointRecord, Count, Document, Finite, Positive, Ratio, Record


class ScaleOutRow(Record):
    """One method at one number of samples.

    ``workers`` is the number of worker processes, null for a method without a cluster. ``seconds`` is the time of one
    epoch: the median over the processes of the median over the epochs. ``speedup`` is time of "numba_simd in parts" ÷
    time of the method, paired by process. ``peak_bytes`` is the largest resident memory of any process that computes.
    ``share`` is the largest error of the loss and the parameters after the first epoch ÷ its bound, null for a method
    with other updates. ``reason`` explains a failure or why the method was not run.
    """

    method: str
    workers: Count | None
    samples: Count
    partition_rows: Count
    seconds: Positive | None
    speedup: Ratio | None
    peak_bytes: Count | None
    share: Finite | None
    ok: bool
    reason: str


class CostsRecord(Record):
    """The measured costs of distribution, on a cluster of ``workers`` processes on this machine.

    ``fixed_seconds``: an epoch of two partitions of one sample. ``partition_seconds``: what each further partition of
    one sample adds. ``latency_seconds``: one task that waits for the result of another. ``broadcast_seconds``: sending
    the parameters to every worker. ``bytes_per_second``: sending a large array to a worker. ``sample_seconds``:
    computing one sample in one process, with making it.
    """

    workers: Count
    fixed_seconds: Positive
    partition_seconds: Positive
    latency_seconds: Positive
    broadcast_seconds: Positive
    bytes_per_second: Positive
    sample_seconds: Positive


class SimulatedRow(Record):
    """A simulated epoch; ``speedup`` is the time of one process without Dask ÷ ``seconds``."""

    samples: Count
    workers: Count
    partition_rows: Count
    seconds: Positive
    speedup: Positive


class BreakEvenRow(Record):
    """The number of samples from which a simulated cluster is faster than one process; null if there is none."""

    workers: Count
    samples: Count | None


class ScaleOut(Document):
    """The document of ``mlpbench scale-out``. ``costs`` is null, and nothing is simulated, without Dask."""

    schema_: Literal["mlpbench.scale-out/1"] = Field("mlpbench.scale-out/1", alias="schema")
    options: dict[str, Any]
    rows: list[ScaleOutRow]
    costs: CostsRecord | None
    simulated: list[SimulatedRow]
    break_even: list[BreakEvenRow]


class ScaleOutState(CheckpointRecord):
    """Checkpoint of ``mlpbench scale-out``: the rows of the numbers of samples that are complete."""

    schema_: Literal["mlpbench.scale-out-state/1"] = Field("mlpbench.scale-out-state/1", alias="schema")
    rows: list[ScaleOutRow]
