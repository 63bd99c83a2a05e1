"""The measurement of ``mlpbench run --cluster``: which case is timed on which machine, and the state of that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from bench.arms import Arm
from bench.checkpoint import source_digest
from bench.cluster.dispatch import Job
from bench.cluster.pool import Machine, Pool
from bench.cluster.timings import compile_job, exact_results, timed_jobs, timing_job
from bench.records.cluster_schema import CaseResult, ClusterCompileRow, ClusterRunState, MachineRecord
from impls import Backend
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort

Save = Callable[[ClusterRunState], None]


def run_settings(
    groups: Sequence[tuple[Arm, ...]], backends: Sequence[Backend], effort: Effort, each_machine: bool
) -> dict[str, Any]:
    """What a resumed run must share with the interrupted one. The machines may be others."""
    return {
        "cases": [str(group[0].case) for group in groups],
        "arms": [[arm.name for arm in group] for group in groups],
        "sources": source_digest(backends),
        "effort": asdict(effort),
        "each_machine": each_machine,
    }


def measure_on_cluster(
    state: ClusterRunState,
    pool: Pool,
    groups: Sequence[tuple[Arm, ...]],
    order: Sequence[str],
    compiling: Sequence[str],
    effort: Effort,
    progress: Progress,
    save: Save,
) -> ClusterRunState:
    """Time what is missing in the state: every case once in each bucket, or on each machine if the settings say so.

    ``save`` receives the state after each case. Raises WorkerRefused, UnfitInputs and ClusterLost.
    """
    machines = pool.machines()
    by_case = {str(group[0].case): group for group in groups}
    places = _places(machines, each_machine=state.settings["each_machine"])
    missing = [
        (case, bucket, machine)
        for case in by_case
        for bucket, machine in places
        if not any(_is_at(result, case, bucket, machine) for result in state.results)
    ]
    wanted = [by_case[case] for case in dict.fromkeys(case for case, _, _ in missing)]
    progress.start(len({arm.case for group in wanted for arm in group}))
    progress.stage("computing the exact results")
    expectations = exact_results(pool, wanted, progress)
    jobs = {
        timing_job(by_case[case], expectations, effort, order, bucket, machine): case
        for case, bucket, machine in missing
    }
    compile_jobs: dict[Job, str] = {
        compile_job(backend, [group[0].case for group in groups], bucket): backend
        for bucket in dict.fromkeys(bucket for bucket, _ in places)
        for backend in compiling
        if (backend, bucket) not in state.compiled
    }
    progress.start(len(jobs) + len(compile_jobs))
    for done, part in timed_jobs(pool, [*jobs, *compile_jobs], progress):
        bucket = done.machine.facts.bucket
        changes: dict[str, Any] = {"machines": _with_machine(state.machines, done.machine)}
        if done.job in jobs:
            result = CaseResult(
                case=jobs[done.job],
                bucket=bucket,
                machine=done.machine.name,
                rows=list(part.rows),
                processes=list(part.processes),
            )
            changes["results"] = [*state.results, result]
        else:
            changes["compiled"] = [*state.compiled, (compile_jobs[done.job], bucket)]
            if (times := part.compile) is not None:
                row = ClusterCompileRow(
                    backend=times.backend,
                    network=times.network,
                    cold_seconds=times.cold,
                    cached_seconds=times.cached,
                    bucket=bucket,
                )
                changes["compile"] = [*state.compile, row]
        state = state.model_copy(update=changes)
        save(state)
        progress.advance()
    return state


def _places(machines: Sequence[Machine], each_machine: bool) -> list[tuple[str, str | None]]:
    """The buckets in which each case is timed, each with a machine, or with None for any of its machines."""
    if each_machine:
        return [(machine.facts.bucket, machine.name) for machine in machines]
    return [(bucket, None) for bucket in dict.fromkeys(machine.facts.bucket for machine in machines)]


def _is_at(result: CaseResult, case: str, bucket: str, machine: str | None) -> bool:
    return (result.case, result.bucket) == (case, bucket) and machine in (None, result.machine)


def _with_machine(known: list[MachineRecord], machine: Machine) -> list[MachineRecord]:
    facts = machine.facts
    record = MachineRecord(machine=machine.name, bucket=facts.bucket, description=facts.description)
    places = (machine.name, facts.bucket)
    return [*(other for other in known if (other.machine, other.bucket) != places), record]
