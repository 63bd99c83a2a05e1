"""The goals with the measured figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

import impls
from bench.cases import Case
from bench.records.sample_table import SampleTable
from bench.records.schema import Ratio, TimingRow
from bench.records.speed_schema import CComparisonRecord, GoalRow, SpeedState, StartRecord
from bench.speed.goals import COLD_FORWARD_SECONDS, COLD_SECONDS, PEER, RATIOS, ROOFLINE_SHARE, WARM_SECONDS, C, Goal
from pairbench import statistics
from pairbench.measure import AA_CONTROL


def goal_rows(state: SpeedState) -> list[GoalRow]:
    """Return a row for each goal, from the state of a finished run."""
    rows, processes = state.rows or [], state.processes or []
    table = SampleTable(processes, {(row.case, row.arm) for row in rows if not row.ok})
    c = state.c or CComparisonRecord(processes=[], reason="not measured")
    ratios = (
        _c_row(goal, c) if goal.under == C else _ratio_row(goal, rows_at(rows, goal.case), table) for goal in RATIOS
    )
    return [*ratios, _share_row(ROOFLINE_SHARE, rows_at(rows, ROOFLINE_SHARE.case)), *_start_rows(state.starts or [])]


def rows_at(rows: Sequence[TimingRow], case: Case) -> list[TimingRow]:
    """Return the rows of the arms that were timed together with the reference at a case."""
    return next((group for group in timed_together(rows) if reference_row(group).case == case), [])


def timed_together(rows: Sequence[TimingRow]) -> Iterator[list[TimingRow]]:
    """Yield groups of rows that were timed against each other. The last row of a group is the A/A control."""
    group: list[TimingRow] = []
    for row in rows:
        group.append(row)
        if row.arm == AA_CONTROL:
            yield group
            group = []


def reference_row(group: Sequence[TimingRow]) -> TimingRow:
    """Return the row of the reference."""
    return next(row for row in group if row.arm == row.reference)


def _ratio_row(goal: Goal, group: Sequence[TimingRow], table: SampleTable) -> GoalRow:
    origins = impls.origins()
    under = next((row for row in group if row.arm == goal.under), None)
    candidates = [
        row
        for row in group
        if row.arm not in (row.reference, AA_CONTROL)
        and (origins.get(row.backend) == "peer" if goal.over == PEER else row.arm == goal.over)
    ]
    ratios = {
        row.arm: ratio
        for row in candidates
        if under is not None and (ratio := table.ratio((row.case, row.arm), (under.case, under.arm))) is not None
    }
    if not ratios:
        reasons = [row.reason for row in candidates if row.reason]
        return _goal_row(goal, f"{goal.over} ÷ {goal.under}", None, (reasons or [f"{goal.over} was not measured"])[0])
    fastest = min(ratios, key=lambda arm: ratios[arm].estimate)
    over = f"{goal.over} ({fastest})" if goal.over == PEER else goal.over
    return _goal_row(goal, f"{over} ÷ {goal.under}", Ratio.of(ratios[fastest]), "")


def _c_row(goal: Goal, c: CComparisonRecord) -> GoalRow:
    interval = statistics.ratio_interval([process.log_ratios for process in c.processes])
    detail = c.reason or f"C takes {1e6 * median(process.seconds for process in c.processes):.3g} µs"
    return _goal_row(goal, f"{goal.over} ÷ {goal.under}", None if interval is None else Ratio.of(interval), detail)


def _share_row(goal: Goal, group: Sequence[TimingRow]) -> GoalRow:
    share = next((row.roofline_share for row in group if row.arm == goal.under), None)
    measured = None if share is None else Ratio(estimate=share, low=None, high=None)
    return _goal_row(goal, f"{goal.over} ÷ {goal.under}", measured, "")


def _start_rows(starts: Sequence[StartRecord]) -> Iterator[GoalRow]:
    for start in starts:
        for what, until, goal in (
            ("all operations", start.cold_seconds, COLD_SECONDS),
            ("one sample", start.cold_forward_seconds, COLD_FORWARD_SECONDS),
        ):
            if until is not None:
                cold = Ratio(estimate=until, low=None, high=None)
                yield _seconds_row(f"import, compiling and first results of {what}, {start.dtype}", cold, goal, "")
    for start in starts:
        seconds = start.warm_seconds
        warm = Ratio(estimate=median(seconds), low=min(seconds), high=max(seconds))
        detail = f"median of {len(seconds)} processes; in brackets the shortest and the longest time"
        yield _seconds_row(
            f"import and first call with compiled kernels in the cache, {start.dtype}", warm, WARM_SECONDS, detail
        )


def _seconds_row(what: str, seconds: Ratio, goal: float, detail: str) -> GoalRow:
    return GoalRow(
        what=what,
        measured=seconds,
        unit="s",
        goal=goal,
        at_most=True,
        reached=seconds.estimate <= goal,
        detail=detail,
        note="",
    )


def _goal_row(goal: Goal, figure: str, measured: Ratio | None, detail: str) -> GoalRow:
    return GoalRow(
        what=f"{goal.case}: {figure}",
        measured=measured,
        unit="",
        goal=goal.value,
        at_most=goal.at_most,
        reached=measured is not None
        and (measured.estimate <= goal.value if goal.at_most else measured.estimate >= goal.value),
        detail=detail,
        note=goal.note,
    )
