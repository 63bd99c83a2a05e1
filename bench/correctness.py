"""Checks of one model around its timing: right before; still right, and still doing its work, after."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from bench.cases import Case
from bench.proof import contract_tests
from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.expectation import Expectation
from bench.proof.problems import Problem, draw_problem
from bench.proof.targets import Evidence, bounded_target, combined, flat, flat_bounded
from bench.workload import LEARNING_RATE
from impls import Backend, Model, Network, load

SMALL, SMALL_BATCH = Network((3, 3, 1)), 7


class CheckFailed(Exception):
    """A model is not right; the text says how in one line."""


@cache
def contract_evidence(name: str, dtype: str) -> Evidence:
    """Evidence that a backend keeps the contract's promises, tried once in a process, on a small network."""
    return contract_tests.check_contract(load(name), draw_problem(SMALL, SMALL_BATCH, dtype))


def build_model(backend: Backend, case: Case, problem: Problem) -> Model:
    """A model of the case's network with the problem's parameters."""
    return backend.build(case.network, problem.parameters, dtype=case.dtype)


def build_verified(backend: Backend, case: Case, expectation: Expectation) -> tuple[Model, Evidence]:
    """A model that is ready to be timed, checked and thereby warm, and the evidence for it."""
    model = build_model(backend, case, expectation.problem)
    evidence = expectation.check(model)
    if case.operation == "train":  # the check has trained it
        model = build_model(backend, case, expectation.problem)
    return model, evidence


def verify_timed_call(
    backend: Backend,
    case: Case,
    expectation: Expectation,
    timed: Model,
    timed_call: tuple[Callable[[Any], Any], Any],
) -> None:
    """Judge one more of the calls that were timed, with the same objects, and what the backend builds by now.

    Raises CheckFailed.
    """
    function, argument = timed_call
    if case.operation == "train":
        start = timed.parameters()
        losses = function(argument)
        require(judge_result(case, expectation, losses, start, timed.parameters()))
        require(expectation.check(build_model(backend, case, expectation.problem)))
        return
    require(judge_result(case, expectation, function(argument)))
    require(expectation.check(timed))


def judge_result(case: Case, expectation: Expectation, result: Any, before: Any = None, after: Any = None) -> Evidence:
    """Evidence on what a timed call returned; of a training, also on the parameters before and after it."""
    if case.operation == "train":
        return _judged_training(case, expectation.problem, before, result, after)
    if case.operation == "forward":
        if type(result) is not np.ndarray or result.dtype != np.dtype(case.dtype):
            return Evidence(False, np.inf, np.inf, f"forward returns no array of {case.dtype}")
        return expectation.targets[-1].judge(result)
    loss, gradient = result
    of_loss, of_gradient = expectation.targets[-2:]
    return combined([of_loss.judge(loss), of_gradient.judge(flat(gradient))])


def _judged_training(case: Case, problem: Problem, start: Any, losses: Any, updated: Any) -> Evidence:
    """Training has changed the model that was timed: it is held to the same from the parameters that it had.

    At so small a rate the bound grows with the number of updates and no faster: after 400 updates an epoch left out
    still moves some parameter by more than 50 times the bound, in float32.
    """
    X, Y = exact(problem.X), exact(problem.Y)
    reference, allowed = (
        Analysis(case.network, dtype).train(
            exact_pairs(start),
            X,
            Y,
            steps=case.steps,
            epochs=case.epochs,
            learning_rate=LEARNING_RATE,
            bias_learning_rate=LEARNING_RATE,
            mean=True,
        )
        for dtype in ("float64", case.dtype)
    )
    of_losses = bounded_target("loss of a timed epoch", case.dtype, reference[0], allowed[0])
    of_parameters = bounded_target(
        "parameter after a timed training", case.dtype, flat_bounded(reference[1]), flat_bounded(allowed[1])
    )
    return combined([of_losses.judge(losses), of_parameters.judge(flat(updated))])


def require(evidence: Evidence) -> None:
    """Raise CheckFailed unless the evidence is good."""
    if not evidence.ok:
        raise CheckFailed(evidence.reason)
