"""A round of processes, and the number of samples that it takes of each row."""

from random import Random

import psutil
import pytest

from bench.cases import Case
from bench.gate.row_plans import BackendCase, RowPlan
from impls import Network
from pairbench import measurement_loop, rounds, sequential_test, timer
from pairbench.gate_protocol import MODULE
from pairbench.measurement_loop import GateTask, plan_effort
from pairbench.worktrees import Worktree
from tests.helpers import ROOT

QUICK = BackendCase("numpy_plain", Case(Network((3, 3, 1)), "forward", 1))
SLOW = BackendCase("python_loops", Case(Network((100, 100, 50, 10)), "gradient", 64))


def with_effort(budget, seconds, overhead=0.0):
    plans = {
        row.key: RowPlan(key=row.key, workload=None, judge=None, row=row, judge_of_case=None) for row in (QUICK, SLOW)
    }
    task = plan_effort(GateTask(plans, tuple(plans), 0.05, budget, {}, overhead), {QUICK.key: 5e-6, SLOW.key: seconds})
    return task.plans[QUICK.key], task.plans[SLOW.key]


def test_a_quick_call_fills_samples_and_a_slow_one_is_timed_three_times():
    quick, slow = with_effort(400, 0.1)
    assert (quick.loops, quick.blocks) == (200, measurement_loop.MAX_BLOCKS)
    assert quick.loops * 5e-6 == pytest.approx(timer.SAMPLE_SECONDS)
    assert (slow.loops, slow.blocks) == (1, 3)
    assert slow.cost == pytest.approx(3 * 3 * 0.1, rel=0.2)


def test_rows_beyond_the_budget_get_fewer_blocks():
    quick, slow = with_effort(2.5 * 1.5 * sequential_test.PASS_ROUNDS, 0.5)
    assert (quick.blocks, slow.blocks) == (measurement_loop.MAX_BLOCKS, 1)
    quick, slow = with_effort(120, 0.5, overhead=13)
    assert (quick.blocks, slow.blocks) == (measurement_loop.MIN_BLOCKS, 1)


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="the system cannot pin a process to a CPU")
def test_a_round_stays_on_one_cpu_and_rounds_use_all():
    usable, used = set(psutil.Process().cpu_affinity()), set()
    for seed in range(4):
        with rounds.open_processes(dict.fromkeys(rounds.SIDES, Worktree(ROOT, "impls")), Random(seed)) as sides:
            sides.pin_to_one_cpu(Random(seed))
            pinned = {tuple(child.cpu_affinity()) for child in psutil.Process().children() if MODULE in child.cmdline()}
        (cpus,) = pinned
        assert len(cpus) == 1
        used.update(cpus)
    assert used <= usable
    assert len(used) >= min(2, len(usable))
