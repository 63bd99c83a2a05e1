"""A round of processes, and the number of samples that it takes of each row."""

from random import Random

import numpy as np
import psutil
import pytest

from bench.cases import Case
from bench.gate.row_plans import BackendCase, RowPlan
from impls import Network
from pairbench import round_effort, rounds, sequential_test, timer
from pairbench.gate_protocol import MODULE
from pairbench.round_processes import open_processes
from pairbench.worktrees import Worktree
from tests.helpers import ROOT

QUICK = BackendCase("numpy_plain", Case(Network((3, 3, 1)), "forward", 1))
SLOW = BackendCase("python_loops", Case(Network((100, 100, 50, 10)), "gradient", 64))


def with_effort(budget, seconds, overhead=0.0, noise=round_effort.USUAL_NOISE, threshold=0.05):
    plans = {
        row.key: round_effort.with_loops(
            RowPlan(key=row.key, workload=None, judge=None, row=row, judge_of_case=None), call_seconds
        )
        for row, call_seconds in ((QUICK, 5e-6), (SLOW, seconds))
    }
    effort = round_effort.choose_effort(list(plans.values()), budget, overhead)
    return [round_effort.with_blocks(plan, effort, threshold, noise) for plan in plans.values()]


def test_a_quick_call_fills_samples_and_a_slow_one_is_timed_three_times():
    quick, slow = with_effort(400, 0.1)
    assert (quick.loops, quick.blocks) == (200, round_effort.MIN_BLOCKS)
    assert quick.loops * 5e-6 == pytest.approx(timer.SAMPLE_SECONDS)
    assert (slow.loops, slow.blocks) == (1, 3)
    assert round_effort.timing_seconds([slow]) == pytest.approx(3 * 3 * 0.1, rel=0.2)


def test_noise_and_a_low_threshold_take_more_blocks():
    """The noise of the blocks of a round is two fifths of the threshold, between the fewest and the most blocks."""
    for noise, threshold in ((0.05, 0.02), (0.1, 0.05), (0.2, 0.05)):
        quick, _ = with_effort(10_000, 0.1, noise=noise, threshold=threshold)
        assert noise / quick.blocks**0.5 <= 0.4 * threshold < noise / (quick.blocks - 1) ** 0.5
    assert with_effort(10_000, 0.1, noise=10.0)[0].blocks == round_effort.MAX_BLOCKS
    assert with_effort(10_000, 0.1, noise=0.0)[0].blocks == round_effort.MIN_BLOCKS


def test_timing_takes_a_quarter_of_the_time_for_starting():
    timing = round_effort.timing_seconds(with_effort(10_000, 1e-4, overhead=4.0))
    assert timing == pytest.approx(1.0, rel=0.1)


def test_a_low_threshold_takes_more_blocks_also_in_a_budget_that_does_not_suffice_for_a_pass():
    """Timing then takes up to four fifths of the other time."""
    low, usual = (with_effort(30, 1e-4, overhead=3.0, threshold=threshold) for threshold in (0.005, 0.05))
    assert round_effort.timing_seconds(low) == pytest.approx(2.4, rel=0.05)
    assert {row.blocks for row in usual} == {round_effort.MIN_BLOCKS}
    assert {row.blocks for row in with_effort(10_000, 1e-4, threshold=0.005)} == {round_effort.MAX_BLOCKS}


def test_a_reference_takes_few_blocks():
    """As many as the fewest of a row, or three samples of a call that takes longer."""
    quick, slow = map(round_effort.with_fewest_blocks, with_effort(10_000, 0.1, noise=10.0))
    assert (quick.blocks, slow.blocks) == (round_effort.MIN_BLOCKS, 3)


def test_rows_beyond_the_budget_get_fewer_blocks():
    """A third of the budget is for the rounds until a PASS. A slow row takes one block where all does not suffice."""
    block, blocks_of_slow = 3 * (1.1e-3 + 3e-3), 3 * 3 * (0.55 + 3e-3)
    for seconds_of_a_round, expected in (
        ((blocks_of_slow + 40.5 * block) / 0.33, (40, 3)),
        (3 * blocks_of_slow, (round_effort.MIN_BLOCKS, 3)),
        (1.05 * blocks_of_slow, (round_effort.MIN_BLOCKS, 3)),
        (0.95 * blocks_of_slow, (round_effort.MIN_BLOCKS, 1)),
        (0.1, (round_effort.MIN_BLOCKS, 1)),
    ):
        rows = with_effort(seconds_of_a_round * sequential_test.PASS_ROUNDS, 0.5, noise=10.0)
        assert tuple(row.blocks for row in rows) == expected


def test_the_noise_of_a_block_is_that_of_the_change():
    """Against NumPy: the standard deviation of log(head) less the mean of the logarithms of base and control."""
    random = np.random.default_rng(5)
    logarithms = random.normal(0, 0.03, (3, 4000)) + np.array([[0.5], [0.0], [-0.1]])
    times = dict(zip(rounds.SIDES, np.exp(logarithms).tolist(), strict=True))
    expected = np.std(logarithms[0] - logarithms[1:].mean(axis=0))
    assert round_effort.block_noise(times) == pytest.approx(expected, rel=0.05)
    swapped = dict(zip(rounds.SIDES, [times["control"], times["head"], times["base"]], strict=True))
    assert round_effort.block_noise(swapped) == pytest.approx(round_effort.block_noise(times))


@pytest.mark.skipif(not hasattr(psutil.Process, "cpu_affinity"), reason="the system cannot pin a process to a CPU")
def test_a_round_stays_on_one_cpu_and_rounds_use_all():
    usable, used = set(psutil.Process().cpu_affinity()), set()
    for seed in range(4):
        with open_processes(dict.fromkeys(rounds.SIDES, Worktree(ROOT, "impls")), Random(seed)) as sides:
            sides.pin_to_one_cpu(Random(seed))
            pinned = {tuple(child.cpu_affinity()) for child in psutil.Process().children() if MODULE in child.cmdline()}
        (cpus,) = pinned
        assert len(cpus) == 1
        used.update(cpus)
    assert used <= usable
    assert len(used) >= min(2, len(usable))
