"""Tries the timing on timing mutants, each of which must get no time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.arms import Arm
from bench.cases import Case
from bench.correctness import CONTRACT_BATCH, CaseJudge, CaseWorkload
from bench.proof import contract_tests
from bench.proof.problems import draw_problem
from bench.proof.targets import Evidence
from bench.proof.timing_mutants import TIMING_MUTANTS
from bench.proof.verify import expect_case
from bench.selection import GUARDED, REFERENCE
from impls import Backend, Network
from pairbench.measure import measure_groups
from pairbench.progress import NoProgress
from pairbench.worker_protocol import Effort

CASE = Case(Network((10, 60, 10)), "forward", 64)
"""A batch of 64, which the mutants recognize. To compute it takes ten times as long as to look it up in a cache."""
EFFORT = Effort(
    processes=2, seconds_per_arm=0.02, max_blocks=10, slow_call_seconds=0.05, slow_processes=1, compile=False
)


@dataclass(frozen=True)
class TimingMutantWorkload(CaseWorkload):
    """The workload of a timing mutant."""

    def _load(self) -> Backend:
        return TIMING_MUTANTS[self.backend]

    def verify_once(self) -> Evidence:
        """Evidence that the mutant keeps the contract."""
        network = contract_tests.contract_network(self._load())
        return contract_tests.check_contract(self._load(), draw_problem(network, CONTRACT_BATCH))


def reason_for_no_time(mutant: str) -> str:
    """The reason for which a timing mutant gets no time, in one line; empty if it gets one."""
    expectation = expect_case(CASE)
    reference, arm = Arm(REFERENCE, REFERENCE, CASE), Arm(mutant, mutant, CASE)
    judge = CaseJudge(CASE, expectation)
    workloads = {
        reference: CaseWorkload.of(REFERENCE, CASE, expectation),
        arm: TimingMutantWorkload.of(mutant, CASE, expectation),
    }
    measurement = measure_groups(
        [(reference, arm)], workloads, dict.fromkeys(workloads, judge), EFFORT, 0, NoProgress(), guarded=GUARDED
    )
    return measurement.failures.get(arm, "")


def try_timing_mutants() -> Iterator[tuple[Backend, str]]:
    """Each timing mutant, and the reason for which it gets no time."""
    for name, mutant in TIMING_MUTANTS.items():
        yield mutant, reason_for_no_time(name)
