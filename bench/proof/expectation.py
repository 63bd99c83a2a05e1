"""The expected result of an operation on a problem: exact values of a part, and bounded values of the whole.

The oracle is slow, so it computes only SAMPLES samples and ENTRIES parameters, at least two of each layer. The float64
analysis covers every output, every gradient and every updated parameter; a computed value may differ from it by the sum
of both bounds. The samples and parameters that both cover check the analysis against the oracle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, Pairs, exact, exact_pairs, in_both_dtypes
from bench.proof.oracle import Entry, Oracle, mp
from bench.proof.problems import Problem
from bench.proof.targets import Evidence, Target, bounded_target, combined, exact_target, flat, flat_bounded
from impls import Model

SAMPLES = 3
ENTRIES = 8
LEARNING_RATE = 0.1


@dataclass(frozen=True)
class Expectation:
    """The targets of an operation on a problem.

    ``entries`` are the positions of the oracle's parameters in the vector of all parameters. ``targets`` are in the
    order in which ``check`` computes the values to compare.
    """

    problem: Problem
    operation: str
    entries: tuple[int, ...]
    targets: tuple[Target, ...]

    def check(self, model: Model) -> Evidence:
        """Check a model that was just built from the problem's parameters. The check of "train" trains the model."""
        return self.judge(compute_results(self.operation, model, self.problem, self.entries))

    def judge(self, results: Sequence[Any]) -> Evidence:
        """Judge the results that ``compute_results`` returned."""
        return combined(target.judge(value) for target, value in zip(self.targets, results, strict=True))


def compute_results(operation: str, model: Model, problem: Problem, entries: Sequence[int]) -> list[Any]:
    """The results of a model that was just built from the problem's parameters; "train" trains the model."""
    return _COMPUTE[operation](model, problem, list(entries))


def expect_result(problem: Problem, operation: str) -> Expectation:
    """Compute the exact and the bounded values of "forward", "gradient" or "train".

    "forward" of a batch of one sample is the call with a single sample.
    """
    entries = _chosen_entries(problem)
    targets = _EXPECT[operation](problem, entries)
    return Expectation(problem, operation, tuple(entries), tuple(targets))


def _chosen_entries(problem: Problem) -> list[int]:
    """Positions in the vector of all parameters: a weight and a bias of each layer, then random ones up to ENTRIES."""
    rng = np.random.default_rng(len(problem.X))
    places, begin = [], 0
    for n_in, n_out in problem.network.shapes:
        places += [begin + int(rng.integers(n_in * n_out)), begin + n_in * n_out + int(rng.integers(n_out))]
        begin += (n_in + 1) * n_out
    others = rng.integers(begin, size=max(0, ENTRIES - len(places)))
    return sorted({*places, *map(int, others)})


def _entry(problem: Problem, place: int) -> Entry:
    """The parameter at a position in the vector of all parameters."""
    for layer, (n_in, n_out) in enumerate(problem.network.shapes):
        if place < (n_in + 1) * n_out:
            i, j = divmod(place, n_out)
            return Entry(layer, i if i < n_in else None, j)
        place -= (n_in + 1) * n_out
    raise IndexError(place)


def _expect_forward(problem: Problem, entries: list[int]) -> list[Target]:
    oracle, pairs = Oracle(problem.network, problem.parameters), exact_pairs(problem.parameters)
    outputs = [oracle.trace(x).outputs for x in problem.X[:SAMPLES]]
    reference, bounded = in_both_dtypes(
        lambda dtype: Analysis(problem.network, dtype).forward(pairs, exact(problem.X)).outputs, problem.dtype
    )
    if len(problem.X) == 1:
        return [exact_target("output", problem.dtype, outputs, bounded.error[0])]
    return [
        exact_target("output", problem.dtype, outputs, bounded.error[:SAMPLES]),
        bounded_target("output", problem.dtype, reference, bounded),
    ]


def _compute_forward(model: Model, problem: Problem, entries: list[int]) -> list[Any]:
    if len(problem.X) == 1:
        return [model.forward(problem.X[0])]
    outputs = model.forward(problem.X)
    return [outputs[:SAMPLES], outputs]


def _exact_gradient(oracle: Oracle, problem: Problem, entries: list[int]) -> list[Any]:
    """The exact gradient of the summed loss of the first samples, at the positions of ``entries``."""
    traces = [oracle.trace(x) for x in problem.X[:SAMPLES]]
    pairs = list(zip(traces, problem.Y[:SAMPLES], strict=True))
    return [mp.fsum(trace.derivative(y, _entry(problem, place)) for trace, y in pairs) for place in entries]


def _expect_gradient(problem: Problem, entries: list[int]) -> list[Target]:
    dtype, oracle = problem.dtype, Oracle(problem.network, problem.parameters)
    first_loss, first_gradient = _analyzed_gradient(problem, dtype, SAMPLES)
    loss = mp.fsum(oracle.trace(x).loss(y) for x, y in zip(problem.X[:SAMPLES], problem.Y[:SAMPLES], strict=True))
    gradient = _exact_gradient(oracle, problem, entries)
    reference, bounded = in_both_dtypes(lambda which: _analyzed_gradient(problem, which, len(problem.X)), dtype)
    return [
        exact_target("loss", dtype, loss, first_loss.error),
        _with_parameter_names(
            exact_target("gradient", dtype, gradient, first_gradient.error[entries]), problem, entries
        ),
        bounded_target("loss", dtype, reference[0], bounded[0]),
        _with_parameter_names(bounded_target("gradient", dtype, reference[1], bounded[1]), problem),
    ]


def _with_parameter_names(target: Target, problem: Problem, entries: list[int] | None = None) -> Target:
    """Let a target of parameters or of a gradient name the parameter that is wrong."""
    return replace(target, network=problem.network, entries=None if entries is None else tuple(entries))


def _analyzed_gradient(problem: Problem, dtype: str, samples: int) -> tuple[Any, Any]:
    analysis, pairs, Y = Analysis(problem.network, dtype), exact_pairs(problem.parameters), exact(problem.Y[:samples])
    forward = analysis.forward(pairs, exact(problem.X[:samples]))
    return analysis.loss(forward, Y), flat_bounded(analysis.gradient(pairs, forward, Y))


def _compute_gradient(model: Model, problem: Problem, entries: list[int]) -> list[Any]:
    first_loss, first_gradient = model.gradient(problem.X[:SAMPLES], problem.Y[:SAMPLES], reduction="sum")
    loss, gradient = model.gradient(problem.X, problem.Y, reduction="sum")
    return [first_loss, flat(first_gradient)[entries], loss, flat(gradient)]


def _expect_train(problem: Problem, entries: list[int]) -> list[Target]:
    dtype, oracle = problem.dtype, Oracle(problem.network, problem.parameters)
    step = mp.mpf(LEARNING_RATE) / min(SAMPLES, len(problem.X))
    gradient = _exact_gradient(oracle, problem, entries)
    updated = [
        mp.mpf(float(value)) - step * derivative
        for value, derivative in zip(flat(problem.parameters)[entries], gradient, strict=True)
    ]
    reference, bounded = in_both_dtypes(lambda which: _analyzed_training(problem, which), dtype)
    (_, first), (losses, last) = bounded
    _, (reference_losses, reference_last) = reference
    first_target = exact_target("new value", dtype, updated, flat_bounded(first).error[entries])
    last_target = bounded_target("new value", dtype, flat_bounded(reference_last), flat_bounded(last))
    return [
        _with_parameter_names(first_target, problem, entries),
        bounded_target("loss of epoch", dtype, reference_losses, losses),
        _with_parameter_names(last_target, problem),
    ]


def _analyzed_training(problem: Problem, dtype: str) -> list[tuple[Any, Pairs]]:
    """Losses and parameters after one epoch on the first samples, and after a second epoch on all samples."""
    analysis, pairs, results = Analysis(problem.network, dtype), exact_pairs(problem.parameters), []
    for samples in (SAMPLES, len(problem.X)):
        losses, pairs = analysis.train(
            pairs,
            exact(problem.X[:samples]),
            exact(problem.Y[:samples]),
            steps=[slice(None)],
            epochs=1,
            learning_rate=LEARNING_RATE,
            bias_learning_rate=LEARNING_RATE,
            mean=True,
        )
        results.append((losses, pairs))
    return results


def _compute_train(model: Model, problem: Problem, entries: list[int]) -> list[Any]:
    model.train(problem.X[:SAMPLES], problem.Y[:SAMPLES], epochs=1, learning_rate=LEARNING_RATE)
    first = flat(model.parameters())[entries]
    losses = model.train(problem.X, problem.Y, epochs=1, learning_rate=LEARNING_RATE)
    return [first, losses, flat(model.parameters())]


_EXPECT = {"forward": _expect_forward, "gradient": _expect_gradient, "train": _expect_train}
_COMPUTE = {"forward": _compute_forward, "gradient": _compute_gradient, "train": _compute_train}
