"""The measuring for the table of speed, and the figures that come of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random
from statistics import median

import impls
from bench.proof.verify import expect_case
from bench.records import timing_rows
from bench.records.schema import GoalRow, Ratio
from bench.roofline import probes
from bench.roofline.lower_bound import MachineLimits, lower_bound
from bench.speed import c_comparison, start_times
from bench.speed.goals import (
    COLD_SECONDS,
    GROUPS,
    LIMIT_SHARE,
    PEER,
    PLAIN,
    RATIOS,
    SAMPLE,
    SIMD,
    VECTORIZED,
    WARM_SECONDS,
    C,
    Goal,
)
from bench.speed.start_times import StartTimes
from impls import Backend
from pairbench import statistics
from pairbench.measure import Measurement, arms_of_case, measure_cases
from pairbench.progress import Progress
from pairbench.statistics import Interval
from pairbench.worker_processes import run_job
from pairbench.worker_protocol import Arm, CallJob, CallResult, Effort

WARM_STARTS = 7


@dataclass(frozen=True)
class CComparison:
    """What the comparison with C gave: a list of processes, or why there is none."""

    processes: list[c_comparison.CProcess]
    reason: str = ""


@dataclass(frozen=True)
class SpeedMeasurement:
    """All that was measured."""

    limits: MachineLimits
    measurement: Measurement
    in_c: CComparison
    starts: dict[str, StartTimes]


def compared_backends(peers: Sequence[Backend]) -> list[Backend]:
    """What is timed beside ``numba_simd``."""
    return [impls.load(PLAIN), impls.load(VECTORIZED), *peers]


def measure_speed_limits(progress: Progress) -> MachineLimits:
    """The limits for all cases, in all dtypes."""
    cases = [replace(case, dtype=dtype) for case, dtypes in GROUPS.items() for dtype in (case.dtype, *dtypes)]
    return probes.measure_limits(list(dict.fromkeys(cases)), progress)


def measure_times(peers: Sequence[Backend], effort: Effort, seed: int, progress: Progress) -> Measurement:
    """All backends at all cases. Raises WorkerRefused where no worker can work."""
    reference = impls.load(SIMD)
    groups = [arms_of_case(case, reference, compared_backends(peers), dtypes) for case, dtypes in GROUPS.items()]
    return measure_cases(groups, effort, seed, progress)


def compare_with_c(effort: Effort, seed: int, progress: Progress) -> CComparison:
    """``numba_simd`` against C, in as many processes as the others."""
    progress.start(effort.processes)
    expectation = expect_case(SAMPLE)
    with tempfile.TemporaryDirectory() as folder:
        try:
            library = c_comparison.compile_library(Path(folder))
        except c_comparison.NoCompiler as error:
            return CComparison([], str(error))
        found: list[c_comparison.CProcess] = []
        for number, process_seed in enumerate(Random(seed).sample(range(2**32), effort.processes)):
            progress.stage(f"{SIMD} and C, process {number + 1} of {effort.processes}")
            with closing(
                run_job(CallJob(c_comparison.compare_in_process, (library, expectation, effort, process_seed)))
            ) as answers:
                (compared,) = (answer.value for answer in answers if isinstance(answer, CallResult))
            if isinstance(compared, str):
                return CComparison([], compared)
            found.append(compared)
            progress.advance()
    return CComparison(found)


def measure_starts(progress: Progress) -> dict[str, StartTimes]:
    """Fresh processes, by dtype."""
    dtypes = impls.load(SIMD).dtypes
    progress.start(len(dtypes))
    found = {}
    for dtype in dtypes:
        progress.stage(f"compiling {SIMD} in {dtype}, and starting it again")
        found[dtype] = start_times.measure_start(dtype, WARM_STARTS)
        progress.advance()
    return found


def goal_rows(speed: SpeedMeasurement) -> list[GoalRow]:
    """A row for every figure that is aimed at."""
    return [*(_ratio_row(goal, speed) for goal in RATIOS), _share_row(speed), *_start_rows(speed.starts)]


def arm_ratio(measurement: Measurement, over: Arm, under: Arm) -> Interval | None:
    """Time of one arm ÷ time of another, over the blocks that have both; None where there are none."""
    pairs = zip(
        timing_rows.block_seconds(over, measurement), timing_rows.block_seconds(under, measurement), strict=True
    )
    return statistics.ratio_interval([statistics.log_ratios(*pair) for pair in pairs])


def _ratio_row(goal: Goal, speed: SpeedMeasurement) -> GoalRow:
    if goal.under == C:
        in_c = speed.in_c
        found = statistics.ratio_interval([process.log_ratios for process in in_c.processes])
        detail = in_c.reason or f"C takes {1e6 * median(one.seconds for one in in_c.processes):.3g} µs"
        return _row(goal, f"{goal.over} ÷ {goal.under}", found, detail)
    group = next(group for group in speed.measurement.groups if group[0].case == goal.case)
    under = next(arm for arm in group if arm.name == goal.under)
    candidates = [arm for arm in group[2:] if (_is_peer(arm) if goal.over == PEER else arm.name == goal.over)]
    ratios = {arm: one for arm in candidates if (one := arm_ratio(speed.measurement, arm, under)) is not None}
    if not ratios:
        return _row(goal, f"{goal.over} ÷ {goal.under}", None, _why_none(goal, candidates, speed.measurement))
    fastest = min(ratios, key=lambda arm: ratios[arm].estimate)
    over = f"{goal.over} ({fastest.name})" if goal.over == PEER else goal.over
    return _row(goal, f"{over} ÷ {goal.under}", ratios[fastest], "")


def _is_peer(arm: Arm) -> bool:
    return impls.origins()[arm.backend] == "peer"


def _why_none(goal: Goal, candidates: Sequence[Arm], measurement: Measurement) -> str:
    reasons = [text for arm in candidates if (text := measurement.failures.get(arm) or measurement.lacking.get(arm))]
    return reasons[0] if reasons else f"{goal.over} is not there"


def _share_row(speed: SpeedMeasurement) -> GoalRow:
    goal = LIMIT_SHARE
    group = next(group for group in speed.measurement.groups if group[0].case == goal.case)
    seconds = statistics.median_seconds(
        [list(blocks.values()) for blocks in timing_rows.block_seconds(group[0], speed.measurement)]
    )
    share = None if seconds is None else Interval(lower_bound(goal.case, speed.limits) / seconds, None, None)
    return _row(goal, f"{goal.over} ÷ {goal.under}", share, "")


def _start_rows(starts: dict[str, StartTimes]) -> Iterator[GoalRow]:
    for dtype, one in starts.items():
        yield _seconds_row(
            f"all kernels compiled, {dtype}", Ratio(estimate=one.cold, low=None, high=None), COLD_SECONDS
        )
    for dtype, one in starts.items():
        warm = Ratio(estimate=median(one.warm), low=min(one.warm), high=max(one.warm))
        yield _seconds_row(f"import and first call, compiled before, {dtype}", warm, WARM_SECONDS)


def _seconds_row(what: str, seconds: Ratio, goal: float) -> GoalRow:
    reached = seconds.estimate <= goal
    detail = "" if seconds.low is None else f"median of {WARM_STARTS}, in brackets the shortest and the longest"
    return GoalRow(
        what=what, measured=seconds, unit="s", goal=goal, at_most=True, reached=reached, detail=detail, note=""
    )


def _row(goal: Goal, figure: str, found: Interval | None, detail: str) -> GoalRow:
    reached = found is not None and (found.estimate <= goal.value if goal.at_most else found.estimate >= goal.value)
    return GoalRow(
        what=f"{goal.case}: {figure}",
        measured=None if found is None else Ratio(**asdict(found)),
        unit="",
        goal=goal.value,
        at_most=goal.at_most,
        reached=reached,
        detail=detail,
        note=goal.note,
    )
