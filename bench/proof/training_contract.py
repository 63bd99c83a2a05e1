"""The contract tests of the training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import cycle
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, Bounded, exact, exact_pairs, in_both_dtypes
from bench.proof.contract_subject import Subject, judge, loss_and_gradient, require
from bench.proof.problems import Problem
from bench.proof.targets import flat, flat_bounded
from impls import Network


@dataclass(frozen=True)
class TrainingOptions:
    """Arguments of ``train``; ``bias_rate`` None stands for ``rate``."""

    mean: bool
    rate: float
    bias_rate: float | None
    epochs: int


@dataclass(frozen=True)
class ExpectedTraining:
    """A training, and the losses and parameters after it: as analysed in float64 and in the dtype of the problem."""

    batches: Any
    options: TrainingOptions
    reference: tuple[Bounded, Bounded]
    allowed: tuple[Bounded, Bounded]


def training_updates_batch_by_batch(subject: Subject) -> Iterator[float]:
    """Trainings update the parameters after each batch; yields errors ÷ their bounds."""
    if subject.supports("train"):
        for expected in _expected_trainings(_Content.of(subject.problem)):
            yield from _training(subject, expected)


@dataclass(frozen=True)
class _Content:
    """A problem, equal to any other with the same values: each backend has arrays of its own, which it might change."""

    problem: Problem = field(compare=False)
    network: Network
    dtype: str
    values: bytes

    @classmethod
    def of(cls, problem: Problem) -> _Content:
        arrays = (flat(problem.parameters), problem.X, problem.Y)
        return cls(problem, problem.network, problem.dtype, b"".join(array.tobytes() for array in arrays))


@cache
def _expected_trainings(content: _Content) -> list[ExpectedTraining]:
    """The trainings of a problem. They are the same for every backend, and their analysis takes long."""
    problem = content.problem
    n = len(problem.X)
    chosen = np.array([[2, 0, 1], [n - 1, 2, 2]])
    variants: list[tuple[Any, list[Any]]] = [
        (None, [slice(0, n)]),
        *((size, [slice(s, s + size) for s in range(0, n, size)]) for size in range(1, n + 1)),
        (chosen, list(chosen)),
        (chosen.tolist(), list(chosen)),
    ]
    all_options = cycle(
        [
            TrainingOptions(True, 0.05, None, 2),
            TrainingOptions(False, 0.02, 0.01, 5),
            TrainingOptions(True, 1e-4, 0.0, 2),
            TrainingOptions(True, 0.05, 0.02, 4),
        ]
    )
    return [
        _expect_training(problem, batches, steps, options)
        for (batches, steps), options in zip(variants * 2, all_options, strict=False)
    ]


def _expect_training(problem: Problem, batches: Any, steps: list[Any], options: TrainingOptions) -> ExpectedTraining:
    def analyze(dtype: str) -> tuple[Bounded, Bounded]:
        losses, parameters = Analysis(problem.network, dtype).train(
            exact_pairs(problem.parameters),
            exact(problem.X),
            exact(problem.Y),
            steps=steps,
            epochs=options.epochs,
            learning_rate=options.rate,
            bias_learning_rate=options.rate if options.bias_rate is None else options.bias_rate,
            mean=options.mean,
        )
        return losses, flat_bounded(parameters)

    reference, allowed = in_both_dtypes(analyze, problem.dtype)
    return ExpectedTraining(batches, options, reference, allowed)


def _training(subject: Subject, expected: ExpectedTraining) -> Iterator[float]:
    problem, model = subject.problem, subject.build()
    batches, options = expected.batches, expected.options
    (reference_losses, reference), (allowed_losses, allowed) = expected.reference, expected.allowed
    training = f"training with batches {batches if batches is None else np.array(batches).tolist()}"
    settings: dict[str, Any] = {
        "learning_rate": options.rate,
        "bias_learning_rate": options.bias_rate,
        "batches": batches,
        "reduction": "mean" if options.mean else "sum",
    }
    # Two calls: the second must continue from the parameters of the first.
    losses = [
        *model.train(problem.X, problem.Y, epochs=1, **settings),
        *model.train(problem.X, problem.Y, epochs=options.epochs - 1, **settings),
    ]
    yield judge(f"loss in {training}", problem.dtype, reference_losses, allowed_losses, losses)
    parameters = model.parameters()
    yield judge(f"parameter after {training}", problem.dtype, reference, allowed, flat(parameters))
    outputs, allowed_outputs = subject.outputs(problem.X, parameters)
    yield judge(f"output after {training}", problem.dtype, outputs, allowed_outputs, model.forward(problem.X))
    yield judge(f"output after {training}", problem.dtype, outputs[0], allowed_outputs[0], model.forward(problem.X[0]))
    yield from loss_and_gradient(subject, replace(problem, parameters=parameters), model)


def epochs_equal_separate_calls(subject: Subject) -> None:
    """Several epochs in one call are as several calls of one epoch."""
    if not subject.supports("train"):
        return
    problem, one_call, three_calls = subject.problem, subject.build(), subject.build()
    settings: dict[str, Any] = {"learning_rate": 0.05, "batches": 3}
    losses = one_call.train(problem.X, problem.Y, epochs=3, **settings)
    separate_losses = [three_calls.train(problem.X, problem.Y, epochs=1, **settings)[0] for _ in range(3)]
    tolerance = 1e3 * np.finfo(problem.dtype).eps
    require(
        np.allclose(losses, separate_losses, rtol=tolerance, atol=0)
        and np.allclose(flat(one_call.parameters()), flat(three_calls.parameters()), rtol=tolerance, atol=tolerance),
        "three epochs in one call differ from three calls of one epoch",
    )


def divergence_raises_no_error(subject: Subject) -> None:
    """A training that diverges still returns its losses."""
    if not subject.supports("train"):
        return
    problem, model = subject.problem, subject.build()
    losses = model.train(problem.X, problem.Y, epochs=3, learning_rate=1e300)
    require(losses.shape == (3,), "a diverging training does not return the losses of its epochs")
