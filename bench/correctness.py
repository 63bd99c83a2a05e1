"""Whether a model is right: before it is timed, and in one more of the timed calls afterwards."""

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
from impls import Backend, BackendError, Model, Network, load
from pairbench.workload import TimedCall, WorkloadError

CONTRACT_NETWORK, CONTRACT_BATCH = Network((3, 3, 1)), 7


@dataclass(frozen=True)
class CaseWorkload:
    """A backend at a case, which proves itself right in the process that times it."""

    backend: str
    case: Case
    expectation: Expectation

    @property
    def compiles(self) -> bool:
        """Whether the backend compiles."""
        return self._load().compiles

    def build(self) -> ModelCall:
        """A call of a new model."""
        return _call(self.case, build_model(self._load(), self.case, self.expectation.problem), self.expectation)

    def build_verified(self) -> tuple[ModelCall, Evidence]:
        """A call that is checked and thereby warm, and the evidence for it."""
        return build_verified(self._load(), self.case, self.expectation)

    def verify_once(self) -> Evidence:
        """Evidence that the backend keeps the contract's promises."""
        return contract_evidence(self.backend, self.case.dtype)

    def verify_after(self, call: TimedCall) -> Evidence:
        """Judge one more of the timed calls, and what the backend builds by now."""
        assert isinstance(call, ModelCall)
        return verify_timed_call(self._load(), self.case, self.expectation, call)

    def _load(self) -> Backend:
        try:
            return load(self.backend)
        except BackendError as error:
            raise WorkloadError(str(error)) from error


@cache
def contract_evidence(name: str, dtype: str) -> Evidence:
    """Evidence that a backend keeps the contract's promises, tried once in a process, on a small network."""
    return contract_tests.check_contract(load(name), draw_problem(CONTRACT_NETWORK, CONTRACT_BATCH, dtype))


def build_model(backend: Backend, case: Case, problem: Problem) -> Model:
    """A model of the case's network with the problem's parameters."""
    return backend.build(case.network, problem.parameters, dtype=case.dtype)


def build_verified(backend: Backend, case: Case, expectation: Expectation) -> tuple[ModelCall, Evidence]:
    """A call that is ready to be timed, checked and thereby warm, and the evidence for it."""
    model = build_model(backend, case, expectation.problem)
    evidence = expectation.check(model)
    if case.operation == "train":  # the check has trained it
        model = build_model(backend, case, expectation.problem)
    return _call(case, model, expectation), evidence


def verify_timed_call(backend: Backend, case: Case, expectation: Expectation, call: ModelCall) -> Evidence:
    """Judge one more of the calls that were timed, with the same objects, and what the backend builds by now."""
    evidence = judge_outcome(case, expectation, call.outcome())
    if not evidence.ok:
        return evidence
    is_training = case.operation == "train"
    return expectation.check(build_model(backend, case, expectation.problem) if is_training else call.model)


def judge_outcome(case: Case, expectation: Expectation, outcome: CallOutcome) -> Evidence:
    """Evidence on a timed call: on its result; of a training, also on the parameters before and after it."""
    result = outcome.result
    if case.operation == "train":
        return _judge_training(case, expectation.problem, outcome.before, result, outcome.after)
    if case.operation == "forward":
        if type(result) is not np.ndarray or result.dtype != np.dtype(case.dtype):
            return Evidence(False, np.inf, np.inf, f"forward returns no array of {case.dtype}")
        return expectation.targets[-1].judge(result)
    loss, gradient = result
    of_loss, of_gradient = expectation.targets[-2:]
    return combined([of_loss.judge(loss), of_gradient.judge(flat(gradient))])


def _judge_training(case: Case, problem: Problem, start: Any, losses: Any, updated: Any) -> Evidence:
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


def _call(case: Case, model: Model, expectation: Expectation) -> ModelCall:
    return timed_call(case, model, expectation.problem)
