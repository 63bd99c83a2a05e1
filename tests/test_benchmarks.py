"""The benchmark cases for pytest-benchmark: ``pytest --benchmark``.

There is a test for each case and core backend. Only the call is timed: the model is built, compiled and checked before
pytest-benchmark calibrates. The speedup does not come from the rounds of pytest-benchmark: a few blocks time the
reference and the backend in turn, and calls of these blocks are judged.
"""

from functools import cache, partial
from itertools import cycle, starmap
from random import Random

import pytest

import impls
from bench import selection
from bench.arms import Arm
from bench.cases import select_cases
from bench.correctness import CaseJudge, CaseWorkload
from bench.plugin import PROPERTY, apply_verdict
from bench.proof.verify import expect_case
from pairbench import cache_check, interleave, statistics, timer, tracing
from pairbench.visible_text import visible
from pairbench.worker_protocol import Effort
from pairbench.workload import require

PAIRED = Effort(processes=1, seconds_per_arm=0.1, max_blocks=10, slow_call_seconds=0, slow_processes=1, compile=False)
POOL = 64
"""Number of inputs that pytest-benchmark's rounds go through."""
CORE = selection.in_order(name for name, origin in impls.origins().items() if origin in selection.BY_DEFAULT)


@cache
def judge(case):
    return CaseJudge(case, expect_case(case))


@cache
def reference_call(case):
    return CaseWorkload.of(selection.REFERENCE, case, judge(case).expectation).build_and_compute()[0]


@pytest.mark.mlpbench_case
@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("case", select_cases(), ids=lambda case: f"{case.operation}-{case.network}-{case.batch}")
def test_backend(case, name, benchmark, record_property, gate_rows):
    try:
        backend = impls.load(name)
    except impls.BackendUnavailable as error:
        pytest.skip(visible(str(error)))
    skip_unsupported(backend, case)
    call, results = CaseWorkload.of(name, case, judge(case).expectation).build_and_compute()
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
        speedup = paired_speedup(case, name, call)
        benchmark.extra_info["speedup"] = speedup
        record_property(PROPERTY, {"case": str(case), "backend": name, "speedup": speedup})
    apply_verdict(gate_rows.get((name, case)), benchmark.extra_info, record_property)


def skip_unsupported(backend, case):
    """Skip a case that the backend lacks, and say what it lacks."""
    if case.dtype not in backend.dtypes:
        pytest.skip(f"{backend.name} does not support {case.dtype}, only {', '.join(backend.dtypes)}")
    if reason := backend.lacks(case.network).get(case.operation):
        pytest.skip(f"{backend.name} does not support {case.operation} of {case.network}: {reason}")


def paired_speedup(case, name, timed):
    """Time of the reference ÷ time of the backend, paired within blocks."""
    calls = {Arm("reference", selection.REFERENCE, case): reference_call(case), Arm(name, name, case): timed}
    with tracing.lifted():  # pytest-benchmark does the same for its rounds
        estimates = {arm: timer.estimate_seconds(call.function, partial(call.draw, 0)) for arm, call in calls.items()}
        cache_check.require_no_cache(timed, estimates[Arm(name, name, case)], Random())
        arms = interleave.time_interleaved(interleave.plan_arms(calls, estimates, PAIRED), Random())
    for record in arms[Arm(name, name, case)].records:
        require(judge(case).judge_sample(record))
    seconds = [{sample.block: sample.seconds for sample in arms[arm].samples} for arm in calls]
    return statistics.ratio_interval([statistics.log_ratios(*seconds)]).estimate
