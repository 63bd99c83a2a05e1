"""The benchmark cases for pytest-benchmark: ``pytest --benchmark`` in a checkout of the project.

Where the package is installed, ``pytest -p bench.plugin --benchmark --pyargs bench.pytest_cases`` runs them.

There is a test for each case and core backend. Only the call is timed: the model is built, compiled and checked before
pytest-benchmark calibrates. The speedup does not come from the rounds of pytest-benchmark: a few blocks time the
reference and the backend in turn, and calls of these blocks are judged. A backend whose judged calls take longer than
its rounds gets no time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from itertools import cycle, starmap
from random import Random
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

import impls
from bench import selection
from bench.arms import Arm
from bench.cases import Case, select_cases
from bench.correctness import CaseJudge, CaseWorkload
from bench.plugin import PROPERTY, apply_verdict
from bench.proof.verify import expect_case
from bench.selection import GUARDED
from pairbench import cache_check, interleave, timer, tracing
from pairbench.background_work import BackgroundWork
from pairbench.function_watch import FunctionWatch
from pairbench.statistics import log_ratios
from pairbench.visible_text import visible
from pairbench.worker_protocol import Effort
from pairbench.workload import TimedCall, WorkloadError, require

if TYPE_CHECKING:
    from bench.records.gate_schema import GateRow

PAIRED = Effort(processes=1, seconds_per_arm=0.1, max_blocks=10, slow_call_seconds=0, slow_processes=1, compile=False)
POOL = 64
"""Number of inputs that pytest-benchmark's rounds go through."""
MOST_LONGER = 2.0
"""How much longer than the rounds of pytest-benchmark, which are not judged, the shortest judged sample may take."""
WAITS = (0, 0.1, 0.3, 1)
"""Seconds before each measurement of the judged calls. The next one takes place only if the calls took longer, as those
of an honest backend do where another process takes half of the processor for a while."""
FUNCTIONS = FunctionWatch(*GUARDED)
BACKGROUND = BackgroundWork()
WAIT_SECONDS = 0.02
"""How long the test waits to see whether threads compute."""
CORE = selection.in_order(name for name, origin in impls.origins().items() if origin in selection.BY_DEFAULT)


@cache
def judge(case: Case) -> CaseJudge:
    """Return the judge of a case, with its exact results."""
    return CaseJudge(case, expect_case(case))


@cache
def reference_call(case: Case) -> TimedCall:
    """Return the reference's call of a case."""
    return CaseWorkload.of(selection.REFERENCE, case, judge(case).expectation).build_and_compute()[0]


@pytest.mark.mlpbench_case
@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("case", select_cases(), ids=lambda case: f"{case.operation}-{case.network}-{case.batch}")
def test_backend(
    case: Case,
    name: str,
    benchmark: Any,
    record_property: Callable[[str, object], None],
    gate_rows: Mapping[tuple[str, Any], GateRow],
) -> None:
    """Check a backend on a case, let pytest-benchmark time it, and measure its speedup."""
    try:
        backend = impls.load(name)
    except impls.BackendUnavailable as error:
        pytest.skip(visible(str(error)))
    skip_unsupported(backend, case)
    call, results = CaseWorkload.of(name, case, judge(case).expectation).build_and_compute()
    FUNCTIONS.require_unchanged()
    FUNCTIONS.extend()
    require(judge(case).judge_results(results))
    call.function(*call.draw(0, 1)[0])  # the first call with these arguments may load code

    benchmark.group = str(case)
    benchmark.extra_info.update(
        backend=name,
        network=str(case.network),
        operation=case.operation,
        batch=case.batch,
        dtype=case.dtype,
    )
    benchmark(next, starmap(call.function, cycle(call.draw(1, POOL))))
    if benchmark.enabled:
        with no_time_if_wrong(benchmark):
            speedup = paired_speedup(case, name, call, benchmark.stats.stats.median)
        benchmark.extra_info["speedup"] = speedup
        record_property(PROPERTY, {"case": str(case), "backend": name, "speedup": speedup})
    apply_verdict(gate_rows.get((name, case)), benchmark.extra_info, record_property)


def skip_unsupported(backend: impls.Backend, case: Case) -> None:
    """Skip a case that the backend lacks, and say what it lacks."""
    if case.dtype not in backend.dtypes:
        pytest.skip(f"{backend.name} does not support {case.dtype}, only {', '.join(backend.dtypes)}")
    if reason := backend.lacks(case.network).get(case.operation):
        pytest.skip(f"{backend.name} does not support {case.operation} of {case.network}: {reason}")


@contextmanager
def no_time_if_wrong(benchmark: Any) -> Generator[None, None, None]:
    """Remove the times of pytest-benchmark's rounds if a WorkloadError is raised."""
    try:
        yield
    except WorkloadError:
        benchmark.stats.stats.data.clear()
        benchmark.has_error = True  # or pytest-benchmark takes the minimum of no times for its file
        raise


def paired_speedup(case: Case, name: str, timed: TimedCall, median_of_rounds: float) -> float:
    """Time of the reference ÷ time of the backend, paired within blocks.

    Raises WorkloadError if the backend replaces functions, if threads compute, or if the judged calls are wrong or take
    much longer than those of the rounds in each of a few measurements.
    """
    FUNCTIONS.require_unchanged()
    BACKGROUND.require_idle(name, WAIT_SECONDS)
    calls = {Arm("reference", selection.REFERENCE, case): reference_call(case), Arm(name, name, case): timed}
    with tracing.lifted():  # pytest-benchmark does the same for its rounds
        estimates = {arm: timer.estimate_seconds(call.function, partial(call.draw, 0)) for arm, call in calls.items()}
        cache_check.require_no_cache(timed, estimates[Arm(name, name, case)], Random())
    longer = []
    for wait in WAITS:
        time.sleep(wait)
        with tracing.lifted():
            arms = interleave.time_interleaved(interleave.plan_arms(calls, estimates, PAIRED), Random())
        FUNCTIONS.require_unchanged()
        timed_arm = arms[Arm(name, name, case)]
        for record in timed_arm.records:
            require(judge(case).judge_sample(record))
        longer.append(min(sample.seconds for sample in timed_arm.samples) / median_of_rounds)
        if longer[-1] <= MOST_LONGER:
            seconds = [{sample.block: sample.seconds for sample in arms[arm].samples} for arm in calls]
            return math.exp(median(log_ratios(*seconds)))
    raise WorkloadError(f"judged calls take {min(longer):.1f} times as long as those of pytest-benchmark's rounds")
