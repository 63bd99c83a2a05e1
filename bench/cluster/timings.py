"""Times groups of arms on a cluster: exact results on all workers, then one timing at a time on each machine."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence

from bench.arms import Arm
from bench.case_measurement import cases_to_expect
from bench.cases import Case
from bench.cluster import tasks
from bench.cluster.dispatch import Done, Job, every_worker, one_worker, run_jobs
from bench.cluster.pool import Pool
from bench.cluster.tasks import TimedPart
from bench.proof.expectation import Expectation
from pairbench.progress import NoProgress, Progress
from pairbench.worker_protocol import Effort


def exact_results(pool: Pool, groups: Sequence[tuple[Arm, ...]], progress: Progress) -> dict[Case, Expectation]:
    """The exact results of all cases of the groups. Raises UnfitInputs and ClusterLost."""
    cases = cases_to_expect(groups)
    jobs = [Job("computing the exact results", tasks.exact_result, (case,)) for case in cases]
    results = {}
    for done in run_jobs(pool, jobs, every_worker, NoProgress()):
        results[done.job.arguments[0]] = done.result
        progress.advance()
    return results


def timing_job(
    group: tuple[Arm, ...],
    expectations: Mapping[Case, Expectation],
    effort: Effort,
    order: Sequence[str],
    bucket: str,
    machine: str | None = None,
) -> Job:
    """The job that times a group on a machine of a bucket, or on this machine."""
    own = {arm.case: expectations[arm.case] for arm in group if arm.case in expectations}
    arguments = (group, own, effort, secrets.randbits(32), tuple(order), tasks.LOCK_SECONDS)
    return Job(f"timing {group[0].case.title}", tasks.time_group, arguments, bucket, machine)


def compile_job(backend: str, cases: Sequence[Case], bucket: str) -> Job:
    """The job that measures the compile time of a backend on a machine of a bucket."""
    return Job(f"compiling {backend}", tasks.time_compiling, (backend, tuple(cases), tasks.LOCK_SECONDS), bucket)


def timed_jobs(pool: Pool, jobs: Sequence[Job], progress: Progress) -> Iterator[tuple[Done, TimedPart]]:
    """Do jobs that are timed; yield each with its part, which says what was executed on its machine meanwhile.

    Raises WorkerRefused and ClusterLost.
    """
    for done in run_jobs(pool, jobs, one_worker, progress):
        part: TimedPart = done.result
        others = pool.other_tasks(done.machine, done.task, part.begin, part.end)
        yield done, tasks.disturbed(part, done.machine.name, others)
