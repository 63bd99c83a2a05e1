"""The benchmark cases for pytest-benchmark: ``pytest --benchmark``.

There is a test for each case and core backend. Only the call is timed: the model is built, compiled and checked before
pytest-benchmark calibrates. The speedup does not come from the rounds of pytest-benchmark: a few blocks time the
reference and the backend in turn.
"""

from functools import cache
from random import Random

import pytest

import impls
from bench import correctness, selection
from bench.arms import Arm
from bench.cases import select_cases
from bench.plugin import PROPERTY, apply_verdict
from bench.proof.verify import expect_case
from pairbench import interleave, statistics, timer, tracing
from pairbench.worker_protocol import Effort
from pairbench.workload import require

PAIRED = Effort(processes=1, seconds_per_arm=0.1, max_blocks=10, slow_call_seconds=0, slow_processes=1, compile=False)
CORE = selection.in_order(name for name, origin in impls.origins().items() if origin == "core")

expectation = cache(expect_case)


@cache
def reference_call(case):
    return correctness.build_verified(impls.load(selection.REFERENCE), case, expectation(case))[0]


@pytest.mark.mlpbench_case
@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("case", select_cases(), ids=lambda case: f"{case.operation}-{case.network}-{case.batch}")
def test_backend(case, name, benchmark, record_property, gate_rows):
    try:
        backend = impls.load(name)
    except impls.BackendUnavailable as error:
        pytest.skip(str(error))
    call, evidence = correctness.build_verified(backend, case, expectation(case))
    require(evidence)
    call.function(call.argument)  # the first call with these arguments may load code

    benchmark.group = str(case)
    benchmark.extra_info.update(
        backend=name,
        network=str(case.network),
        operation=case.operation,
        batch=case.batch,
        dtype=case.dtype,
    )
    benchmark(call.function, call.argument)
    if benchmark.enabled:
        speedup = paired_speedup(case, name, call)
        benchmark.extra_info["speedup"] = speedup
        record_property(PROPERTY, {"case": str(case), "backend": name, "speedup": speedup})
    require(correctness.verify_timed_call(backend, case, expectation(case), call))
    apply_verdict(gate_rows.get((name, case)), benchmark.extra_info, record_property)


def paired_speedup(case, name, timed):
    """Time of the reference ÷ time of the backend, paired within blocks."""
    calls = {Arm("reference", selection.REFERENCE, case): reference_call(case), Arm(name, name, case): timed}
    with tracing.lifted():  # pytest-benchmark does the same for its rounds
        estimates = {arm: timer.estimate_seconds(call.function, call.argument) for arm, call in calls.items()}
        samples = interleave.time_interleaved(interleave.plan_arms(calls, estimates, PAIRED), Random(0))
    seconds = [{sample.block: sample.seconds for sample in samples[arm]} for arm in calls]
    return statistics.ratio_interval([statistics.log_ratios(*seconds)]).estimate
