"""A row of the gate, a backend at a case that gets a verdict, and the plan of its measurement."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cases import Case
from bench.correctness import CaseJudge
from bench.workload import ModelWorkload
from pairbench.rounds import RoundPlan


@dataclass(frozen=True)
class BackendCase:
    """A row of the gate: a backend at a case."""

    backend: str
    case: Case

    @property
    def key(self) -> str:
        """The name of the row in the records."""
        return f"{self.backend}: {self.case}"

    def of(self, backend: str) -> BackendCase:
        """The row of another backend at the same case."""
        return BackendCase(backend, self.case)


@dataclass(frozen=True, kw_only=True)
class RowPlan(RoundPlan):
    """How a row is timed in a round, and the results that it must compute."""

    row: BackendCase
    judge_of_case: CaseJudge


def plan_row(row: BackendCase, judge: CaseJudge) -> RowPlan:
    """The plan of a row, with one call in one block."""
    return RowPlan(
        key=row.key,
        workload=ModelWorkload.of(row.backend, row.case, judge.expectation.problem),
        judge=judge.judge_sample,
        has_state=row.case.operation == "train",
        row=row,
        judge_of_case=judge,
    )
