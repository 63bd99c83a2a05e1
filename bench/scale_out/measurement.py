"""Times every method at every number of samples, each in fresh processes, in rounds."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from time import perf_counter
from typing import TypeVar

import numpy as np

from bench.proof.repeated import epoch_target
from bench.proof.targets import Target
from bench.records.scale_out_schema import CostsRecord, ScaleOutRow
from bench.records.schema import Ratio
from bench.scale_out import costs, data, methods
from bench.scale_out.methods import Trainer
from impls import Array
from pairbench import machine, statistics
from pairbench.error_text import describe_error
from pairbench.progress import Progress

EPOCHS, ENOUGH_SECONDS = 5, 2.0
"""Timed epochs in a process; no further epoch begins after ENOUGH_SECONDS."""
WARM_SAMPLES = 10**5
"""Samples of the epoch that is not timed, in which libraries are loaded and code is compiled."""
MEMORY_SHARE = 0.25
"""Share of the free memory that the arrays of a method in memory may take. Making them takes as much again."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Measured:
    """One method in one process: seconds of the epochs, peaks of memory, and what the first epoch gave."""

    seconds: list[float]
    peaks: list[int]
    first: Array | None


@dataclass(frozen=True)
class _Candidate:
    """A method, the library that it needs, and the number of its worker processes."""

    start: Callable[[int, int], Trainer]
    library: str = "numba"
    extra: str = ""
    workers: int | None = None


def candidates(workers: Sequence[int]) -> dict[str, _Candidate]:
    """The methods by name."""
    clusters = {
        methods.workers_name(count): _Candidate(methods.data_parallel, "distributed", "cluster", count)
        for count in workers
    }
    return {
        methods.STREAMED: _Candidate(methods.in_parts),
        methods.IN_MEMORY: _Candidate(methods.in_memory),
        methods.NO_CLUSTER: _Candidate(methods.data_parallel, "dask", "cluster"),
        **clusters,
        methods.SKLEARN: _Candidate(methods.partial_fit),
        methods.TORCH: _Candidate(methods.data_loader, "torch", "peers"),
    }


def measure_rows(
    samples: Sequence[int], rows: int, workers: Sequence[int], rounds: int, progress: Progress
) -> Iterator[list[ScaleOutRow]]:
    """Yield the rows of all methods at each number of samples."""
    arms = candidates(workers)
    progress.start(len(samples) * len(arms) * rounds)
    for count in samples:
        target = epoch_target(
            data.NETWORK,
            methods.initial(),
            data.inputs(0, data.DIGITS),
            data.targets(0, data.DIGITS),
            count,
            methods.LEARNING_RATE,
        )
        reasons = {name: reason for name, arm in arms.items() if (reason := _obstacle(name, arm, count))}
        found: dict[str, list[Measured]] = {name: [] for name in arms}
        for _ in range(rounds):
            for name in arms:
                if name not in reasons:
                    progress.stage(f"{count} samples, {name}")
                    outcome = in_fresh_process(_measure, name, workers, count, rows)
                    if isinstance(outcome, str):
                        reasons[name] = outcome
                    else:
                        found[name].append(outcome)
                progress.advance()
        failed = {name for name in reasons if not _obstacle(name, arms[name], count)}
        yield [
            _row(name, arm, count, rows, found, reasons.get(name, ""), name in failed, target)
            for name, arm in arms.items()
        ]


def measure_costs(rows: Sequence[ScaleOutRow]) -> CostsRecord | None:
    """Measure the costs of distribution; None without Dask, or if no epoch of one process was timed."""
    timed = [row for row in rows if row.method == methods.STREAMED and row.seconds is not None]
    if not timed or find_spec("distributed") is None:
        return None
    largest = max(timed, key=lambda row: row.samples)
    outcome = in_fresh_process(costs.measure_costs, (largest.seconds or 0.0) / largest.samples)
    if isinstance(outcome, str):
        raise RuntimeError(f"the costs of distribution cannot be measured: {outcome}")
    return outcome


def in_fresh_process(function: Callable[..., Result], *arguments: object) -> Result | str:
    """Call a function in a process that ends afterwards; return its result, or why there is none in one line."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        try:
            return process.submit(function, *arguments).result()
        except BrokenProcessPool:
            return "its process was ended, for example because the memory did not suffice"
        except Exception as error:
            return describe_error(error)


def _obstacle(name: str, arm: _Candidate, samples: int) -> str:
    """Why a method cannot run here; empty if it can."""
    if find_spec(arm.library) is None:
        return f"not run: {arm.library} is not installed; install mlpbench[{arm.extra}]"
    if name == methods.IN_MEMORY and samples * data.SAMPLE_BYTES > MEMORY_SHARE * machine.memory_available():
        return f"not run: its arrays would take more than {MEMORY_SHARE:.0%} of the free memory"
    return ""


def _measure(name: str, workers: Sequence[int], samples: int, rows: int) -> Measured:
    """Run a method; called in a process of its own."""
    arm = candidates(workers)[name]
    with methods.cluster(arm.workers) if arm.workers else nullcontext() as client:
        arm.start(min(samples, WARM_SAMPLES), min(rows, WARM_SAMPLES // 8)).epoch()
        trainer, first = arm.start(samples, rows), None
        seconds: list[float] = []
        while len(seconds) < EPOCHS and sum(seconds) < ENOUGH_SECONDS:
            begun = perf_counter()
            loss = trainer.epoch()
            seconds.append(perf_counter() - begun)
            if len(seconds) == 1 and (parameters := trainer.parameters()) is not None:
                first = np.append(loss, parameters)
        peaks = [*client.run(methods.peak_memory).values()] if client else [methods.peak_memory()]
        return Measured(seconds, peaks, first)


def _row(
    name: str,
    arm: _Candidate,
    samples: int,
    rows: int,
    found: dict[str, list[Measured]],
    reason: str,
    failed: bool,
    target: Target,
) -> ScaleOutRow:
    """The row of a method; a result outside of its bound gives no time."""
    evidence = [target.judge(one.first) for one in found[name] if one.first is not None]
    reason = next((one.reason for one in evidence if not one.ok), reason)
    ok = not failed and all(one.ok for one in evidence)
    timed = [median(one.seconds) for one in found[name]] if ok else []
    pairs = zip(found[methods.STREAMED], found[name], strict=False)
    ratio = statistics.ratio_interval([[math.log(median(a.seconds) / median(b.seconds))] for a, b in pairs])
    return ScaleOutRow(
        method=name,
        workers=arm.workers,
        samples=samples,
        partition_rows=rows,
        seconds=median(timed) if timed else None,
        speedup=Ratio.of(ratio) if ratio and timed else None,
        peak_bytes=max((peak for one in found[name] for peak in one.peaks), default=None),
        share=max((one.share for one in evidence), default=None),
        ok=ok,
        reason=reason,
    )
