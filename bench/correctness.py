"""Checks that a model computes the right results: before it is timed, and in another call after the timing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.cases import Case
from bench.proof import contract_tests
from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.expectation import Expectation
from bench.proof.problems import Problem, draw_problem
from bench.proof.targets import Evidence, bounded_target, combined, flat, flat_bounded
from bench.workload import LEARNING_RATE, CallOutcome, ModelCall, timed_call
from impls import Backend, BackendError, Model, load
from pairbench.workload import TimedCall, WorkloadError

CONTRACT_BATCH = 7


@dataclass(frozen=True)
class CaseWorkload:
    """A backend at a case; its results are checked in the process that times it."""

    backend: str
    case: Case
    expectation: Expectation

    @property
    def compiles(self) -> bool:
        """Whether the backend compiles."""
        return self._load().compiles

    def build(self) -> ModelCall:
        """The timed call of a new model."""
        return _call(self.case, build_model(self._load(), self.case, self.expectation.problem), self.expectation)

    def build_verified(self) -> tuple[ModelCall, Evidence]:
        """The timed call of a checked model, and the evidence of the check."""
        return build_verified(self._load(), self.case, self.expectation)

    def verify_once(self) -> Evidence:
        """Evidence that the backend keeps the contract."""
        return contract_evidence(self.backend, self.case.dtype)

    def verify_after(self, call: TimedCall) -> Evidence:
        """Repeat the timed call once and check its result, then check a model; see ``verify_timed_call``."""
        assert isinstance(call, ModelCall)
        return verify_timed_call(self._load(), self.case, self.expectation, call)

    def _load(self) -> Backend:
        try:
            return load(self.backend)
        except BackendError as error:
            raise WorkloadError(str(error)) from error


@cache
def contract_evidence(name: str, dtype: str) -> Evidence:
    """Evidence that a backend keeps the contract, from a small network; checked once per process."""
    backend = load(name)
    network = contract_tests.contract_network(backend)
    return contract_tests.check_contract(backend, draw_problem(network, CONTRACT_BATCH, dtype))


def build_model(backend: Backend, case: Case, problem: Problem) -> Model:
    """Build a model of the case's network with the problem's parameters."""
    return backend.build(case.network, problem.parameters, dtype=case.dtype)


def build_verified(backend: Backend, case: Case, expectation: Expectation) -> tuple[ModelCall, Evidence]:
    """The timed call of a checked model, and the evidence of the check, which also warms up the code."""
    model = build_model(backend, case, expectation.problem)
    evidence = expectation.check(model)
    if case.operation == "train":  # the check has changed the model's parameters
        model = build_model(backend, case, expectation.problem)
    return _call(case, model, expectation), evidence


def verify_timed_call(backend: Backend, case: Case, expectation: Expectation, call: ModelCall) -> Evidence:
    """Repeat the timed call with the same objects and check its result, then check the timed model.

    Timed training has changed the model's parameters, so that a new model is checked instead.
    """
    evidence = judge_outcome(case, expectation, call.outcome())
    if not evidence.ok:
        return evidence
    is_training = case.operation == "train"
    return expectation.check(build_model(backend, case, expectation.problem) if is_training else call.model)


def judge_outcome(case: Case, expectation: Expectation, outcome: CallOutcome) -> Evidence:
    """Evidence on the result of a timed call; for a training, also on the updated parameters."""
    result = outcome.result
    if case.operation == "train":
        return _judge_training(case, expectation.problem, outcome.before, result, outcome.after)
    if case.operation == "forward":
        if type(result) is not np.ndarray or result.dtype != np.dtype(case.dtype):
            return Evidence(False, np.inf, np.inf, f"forward does not return an array of {case.dtype}")
        return expectation.targets[-1].judge(result)
    loss, gradient = result
    loss_target, gradient_target = expectation.targets[-2:]
    return combined([loss_target.judge(loss), gradient_target.judge(flat(gradient))])


def _judge_training(case: Case, problem: Problem, start: Any, losses: Any, updated: Any) -> Evidence:
    """Compare a timed training with an exact training from the same initial parameters.

    The learning rate is so small that the bound grows only linearly with the number of updates. After 400 updates in
    float32, a missing epoch still changes some parameter by more than 50 times the bound.
    """
    X, Y = exact(problem.X), exact(problem.Y)
    reference, bounded = (
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
    loss_target = bounded_target("loss of a timed epoch", case.dtype, reference[0], bounded[0])
    parameter_target = bounded_target(
        "parameter after a timed training", case.dtype, flat_bounded(reference[1]), flat_bounded(bounded[1])
    )
    return combined([loss_target.judge(losses), parameter_target.judge(flat(updated))])


def _call(case: Case, model: Model, expectation: Expectation) -> ModelCall:
    return timed_call(case, model, expectation.problem)
