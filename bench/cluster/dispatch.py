"""Gives jobs to the workers of a cluster, and gives a job whose worker is lost to another one.

Dask's resources are those of a worker, not of a machine. So that a machine has one timing at a time, a task names its
worker, and this module keeps count.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from distributed import Future, wait
from distributed.scheduler import KilledWorker

from bench.cluster.connection import ClusterLost
from bench.cluster.pool import GONE, RESOURCE, Machine, Pool
from pairbench.progress import Progress
from pairbench.wording import counted

POLL_SECONDS = 0.5
MISSING_POLLS = 20
"""A task that no worker has, for this number of polls in a row, is lost."""

LOST_WORKERS = 3
"""A job that has lost more workers than this is not tried again."""

PATIENCE_SECONDS = 60.0
"""Longest time without a worker for the jobs that are left. A nanny starts a new worker in a few seconds."""

Slots = Callable[[Machine], Mapping[str, str]]
"""The names of the places of a machine that take a job each, with the addresses of their workers."""


@dataclass(frozen=True, eq=False)
class Job:
    """A call on a worker of a machine of this bucket, or of one machine if it is named; None is any bucket."""

    title: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    bucket: str | None = None
    machine: str | None = None

    def fits(self, machine: Machine) -> bool:
        """Whether the job may run on a machine."""
        return self.bucket in (None, machine.facts.bucket) and self.machine in (None, machine.name)


@dataclass(frozen=True, eq=False)
class Done:
    """A job that has ended, with its machine, the key of its task and its result."""

    job: Job
    machine: Machine
    task: str
    result: Any


def every_worker(machine: Machine) -> dict[str, str]:
    """Slots for jobs that are not timed: each worker takes one."""
    return {address: address for address in machine.workers}


def one_worker(machine: Machine) -> dict[str, str]:
    """The slot for timings: a machine takes one, on the first of its workers, so that all clients choose the same."""
    return {machine.name: machine.workers[0]}


def run_jobs(pool: Pool, jobs: Sequence[Job], slots: Slots, progress: Progress) -> Iterator[Done]:
    """Run jobs, and yield them in the order in which they end.

    Raises what a job raises, and ClusterLost if the scheduler is gone, or no worker is left that could do the rest.
    """
    running = _Jobs(pool, jobs)
    try:
        while running.are_left:
            machines = running.await_changes()
            yield from running.ended()
            for machine in machines:
                for slot, address in slots(machine).items():
                    if (title := running.begin(slot, machine, address)) is not None:
                        progress.stage(f"{title}, on {machine.name}{running.score()}", running.seconds_left())
    finally:
        running.cancel()


@dataclass(eq=False)
class _Running:
    job: Job
    machine: Machine
    address: str
    future: Future[Any]
    missing: int = 0

    def is_lost(self, processing: Mapping[str, Sequence[str]]) -> bool:
        """Whether the worker has left the cluster with the task, or no worker has had the task for long."""
        if self.future.done():
            return False
        if self.address not in processing:
            return True
        is_missing = self.future.key not in processing[self.address]
        self.missing = self.missing + 1 if is_missing else 0
        return self.missing > MISSING_POLLS


class _Jobs:
    """The jobs that wait, and those that run, by slot."""

    def __init__(self, pool: Pool, jobs: Sequence[Job]):
        self._pool, self._count = pool, len(jobs)
        self._waiting, self._running = deque(jobs), dict[str, _Running]()
        self._losses, self._done = Counter[Job](), 0
        self._begun = self._active = time.monotonic()
        self._processing: Mapping[str, Sequence[str]] = {}

    @property
    def are_left(self) -> bool:
        return bool(self._waiting or self._running)

    def await_changes(self) -> list[Machine]:
        """Wait for a task to end, or for a short time, and return the machines that are there then.

        Raises ClusterLost.
        """
        if self._running:
            with suppress(TimeoutError, CancelledError):
                wait([entry.future for entry in self._running.values()], POLL_SECONDS, "FIRST_COMPLETED")
        elif self._done or self._losses:
            time.sleep(POLL_SECONDS)
        self._processing = self._pool.processing()
        machines = self._pool.machines(self._processing)
        if self._running or any(job.fits(machine) for job in self._waiting for machine in machines):
            self._active = time.monotonic()
        elif time.monotonic() - self._active > PATIENCE_SECONDS:
            raise ClusterLost(f"no worker is left for {counted(len(self._waiting), 'job')}")
        return machines

    def ended(self) -> Iterator[Done]:
        """The jobs that have ended. Those whose worker is lost wait again."""
        for slot, entry in list(self._running.items()):
            if entry.is_lost(self._processing):
                self._again(slot)
            elif entry.future.done():
                try:
                    result = entry.future.result()
                except (KilledWorker, CancelledError):
                    self._again(slot)
                    continue
                del self._running[slot]
                self._done += 1
                yield Done(entry.job, entry.machine, str(entry.future.key), result)

    def begin(self, slot: str, machine: Machine, address: str) -> str | None:
        """Begin the next job that fits, and return its title; None if the slot is taken, or no job fits."""
        job = next((job for job in self._waiting if job.fits(machine)), None)
        if slot in self._running or job is None:
            return None
        self._waiting.remove(job)
        future = self._pool.client.submit(
            job.function,
            *job.arguments,
            key=f"mlpbench-{secrets.token_hex(8)}",
            workers=[address],
            resources={RESOURCE: 1},
            pure=False,
        )
        self._running[slot] = _Running(job, machine, address, future)
        return job.title

    def score(self) -> str:
        """How many of the jobs are done; empty for a single job."""
        return f"; {self._done} of {self._count} done" if self._count > 1 else ""

    def seconds_left(self) -> float | None:
        """The time left, if the other jobs take as long as those that are done; None before the first is."""
        return (time.monotonic() - self._begun) / self._done * (self._count - self._done) if self._done else None

    def cancel(self) -> None:
        """Cancel the tasks that have not begun. A task that has begun ends by itself."""
        for entry in self._running.values():
            with suppress(*GONE):
                entry.future.cancel()

    def _again(self, slot: str) -> None:
        """Let the job of a slot wait again, before all others. Raises ClusterLost if it has lost too many workers."""
        lost = self._running.pop(slot)
        with suppress(*GONE):
            lost.future.cancel()
        self._losses[lost.job] += 1
        if self._losses[lost.job] > LOST_WORKERS:
            raise ClusterLost(f"{lost.job.title} has lost {counted(self._losses[lost.job], 'worker')}")
        self._waiting.appendleft(lost.job)
