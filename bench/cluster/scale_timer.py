"""Where ``mlpbench scale --cluster`` times: on the machines of one bucket, because a crossover compares sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.arms import Arm
from bench.case_measurement import CompileTime
from bench.cases import Case
from bench.cluster.connection import Connection
from bench.cluster.pool import Pool, open_pool
from bench.cluster.timings import compile_job, exact_results, timed_jobs, timing_job
from bench.records.schema import ProcessRecord, TimingRow
from pairbench.progress import NoProgress, Progress
from pairbench.worker_protocol import Effort


@contextmanager
def scale_timer(
    connection: Connection, backends: Sequence[str], say: Callable[[str], None]
) -> Iterator[tuple[ClusterTimer, dict[str, Any]]]:
    """A timer on the bucket that has most machines, and the description of one of these. Raises as ``open_pool``."""
    with open_pool(connection, backends, 1, say) as pool:
        machines = pool.machines()
        ((bucket, _), *others) = Counter(machine.facts.bucket for machine in machines).most_common()
        used = [machine for machine in machines if machine.facts.bucket == bucket]
        if others:
            say(
                f"all sizes are timed in the bucket {bucket}, on {', '.join(machine.name for machine in used)}; not "
                f"used: {', '.join(machine.name for machine in machines if machine not in used)}"
            )
        yield ClusterTimer(pool, bucket), used[0].facts.description


@dataclass(frozen=True)
class ClusterTimer:
    """Times on the machines of a cluster that are of one bucket."""

    pool: Pool
    bucket: str

    def time_groups(
        self, groups: Sequence[tuple[Arm, ...]], effort: Effort, order: Sequence[str], progress: Progress
    ) -> Iterator[tuple[list[TimingRow], list[ProcessRecord]]]:
        """Time the arms of all groups, and yield the rows of each group."""
        expectations = exact_results(self.pool, groups, progress)
        jobs = [timing_job(group, expectations, effort, order, self.bucket) for group in groups]
        for _, part in timed_jobs(self.pool, jobs, NoProgress()):
            yield list(part.rows), list(part.processes)
            for _ in range(effort.processes):
                progress.advance()

    def compile_time(self, backend: str, case: Case) -> CompileTime | None:
        """The compile time of a backend at a case; None if it ends its process."""
        ((_, part),) = timed_jobs(self.pool, [compile_job(backend, [case], self.bucket)], NoProgress())
        return part.compile
