"""Times ``numba_simd`` against ``numpy_vectorized`` on random networks, of any width, depth, batch and activations.

Exact results of wide networks would take hours, so the results are not verified here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from random import Random

import numpy as np
from threadpoolctl import threadpool_limits

from bench.cases import DTYPES, OPERATIONS, Case
from bench.proof.problems import Problem
from bench.workload import ModelWorkload
from impls import Network
from impls._network import HIDDEN, OUTPUTS
from pairbench import timer
from pairbench.interleave import balanced_orders
from pairbench.statistics import Interval, ratio_interval
from pairbench.workload import TimedCall

BACKENDS = "numpy_vectorized", "numba_simd"
MAX_LAYERS, MAX_WIDTH, MAX_BATCH = 8, 2048, 4096
MAX_PRODUCTS = 3e8
"""Multiplications of a forward pass beyond which a case would take too long."""
BLOCKS = 15
CONFIDENCE = 0.99


@dataclass(frozen=True)
class RandomCase:
    """A random case, and the time of ``numpy_vectorized`` ÷ the time of ``numba_simd``.

    The interval holds for one process: each of its blocks counts once.
    """

    case: Case
    ratio: Interval

    @property
    def widest(self) -> int:
        """Number of nodes of the widest layer."""
        return max(self.case.network.layer_sizes)

    @property
    def is_slower(self) -> bool:
        """Whether ``numba_simd`` is slower, beyond the interval."""
        return self.ratio.high is not None and self.ratio.high < 1


def random_problems(random: Random) -> Iterator[tuple[Case, Problem]]:
    """Draw cases without end, with parameters and inputs. Widths and batches are uniform in their logarithms."""
    while True:
        layers, batch = random.randint(1, MAX_LAYERS), int(MAX_BATCH ** random.random())
        sizes = tuple(int(MAX_WIDTH ** random.random()) for _ in range(layers + 1))
        loss = random.choice(list(OUTPUTS))
        output, hidden = random.choice(list(OUTPUTS[loss])), random.choice(list(HIDDEN))
        if sum(n * m for n, m in pairwise(sizes)) * batch > MAX_PRODUCTS:
            continue
        if output == "softmax" and sizes[-1] < 2:
            continue
        network = Network(sizes, hidden, output, loss)
        case = Case(network, random.choice(OPERATIONS), batch, random.choice(DTYPES))
        yield case, _problem(case, random.getrandbits(30))


def _problem(case: Case, seed: int) -> Problem:
    """Random parameters, inputs and targets; each target is 1 for one output of its sample and 0 for the others."""
    network, rng = case.network, np.random.default_rng(seed)
    parameters = [(W.astype(case.dtype), b.astype(case.dtype)) for W, b in network.random_parameters(seed)]
    X = rng.normal(size=(case.batch, network.n_in)).astype(case.dtype)
    Y = np.eye(network.n_out, dtype=case.dtype)[rng.integers(network.n_out, size=case.batch)]
    return Problem(network, case.dtype, parameters, X, Y)


def measure(case: Case, problem: Problem, random: Random) -> RandomCase:
    """Time both backends in this process, on one thread, in interleaved blocks."""

    def sample(call: TimedCall, loops: int) -> float:
        return timer.time_calls(call.function, call.draw(random.getrandbits(30), loops))[0]

    calls = [ModelWorkload.of(name, case, problem).build() for name in BACKENDS]
    with threadpool_limits(1):
        seconds = [timer.estimate_seconds(call.function, partial(call.draw, 0)) for call in calls]
        loops = [timer.loops_per_sample(one) for one in seconds]
        log_ratios = []
        for order in islice(balanced_orders(len(calls), random), BLOCKS):
            times = {arm: sample(calls[arm], loops[arm]) for arm in order}
            log_ratios.append([math.log(times[0] / times[1])])
    ratio = ratio_interval(log_ratios, CONFIDENCE)
    assert ratio is not None
    return RandomCase(case, ratio)
