"""Computes results in the process of a backend, and judges them in the parent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from bench.cases import Case
from bench.proof import contract_tests
from bench.proof.bounds import Analysis, Bounded, exact, exact_pairs
from bench.proof.expectation import Expectation, compute_results
from bench.proof.problems import Problem, draw_problem
from bench.proof.targets import Evidence, Target, bounded_target, combined, flat, flat_bounded
from bench.workload import LEARNING_RATE, ModelWorkload
from impls import Backend, BackendError, Model, load
from pairbench.timer import Arguments
from pairbench.workload import JudgedSample, TimedCall, WorkloadError

CONTRACT_BATCH = 7


@dataclass(frozen=True)
class CaseWorkload:
    """A backend at a case. It has the problem, but not the right results, which only the judge knows."""

    backend: str
    case: Case
    problem: Problem
    entries: tuple[int, ...]

    @classmethod
    def of(cls, backend: str, case: Case, expectation: Expectation) -> CaseWorkload:
        """The workload of a backend at a case."""
        return cls(backend, case, expectation.problem, expectation.entries)

    @property
    def compiles(self) -> bool:
        """Whether the backend compiles."""
        return self._load().compiles

    def build(self) -> TimedCall:
        """The timed call of a new model."""
        return self._timed_call(self._model())

    def build_and_compute(self) -> tuple[TimedCall, list[Any]]:
        """The timed call of a model, and results of this model, which also warm up the code.

        Raises WorkloadError if the model changes its inputs.
        """
        model, problem = self._model(), copy_of(self.problem)
        results = compute_results(self.case.operation, model, problem, self.entries)
        if not (np.array_equal(problem.X, self.problem.X) and np.array_equal(problem.Y, self.problem.Y)):
            raise WorkloadError("changes its inputs")
        # Computing the results of "train" has changed the model's parameters.
        return self._timed_call(self._model() if self.case.operation == "train" else model), results

    def verify_once(self) -> Evidence:
        """Evidence that the backend keeps the contract."""
        return contract_evidence(self.backend, self.case.dtype)

    def _load(self) -> Backend:
        try:
            return load(self.backend)
        except BackendError as error:
            raise WorkloadError(str(error)) from error

    def _model(self) -> Model:
        return build_model(self._load(), self.case, copy_of(self.problem))

    def _timed_call(self, model: Model) -> TimedCall:
        return ModelWorkload.of(self.backend, self.case, self.problem).timed_call(model)


@dataclass(frozen=True)
class CaseJudge:
    """Judges the results of a case. All backends at the case share the judge, which computes each right result once."""

    case: Case
    expectation: Expectation
    _targets: dict[int, list[Target]] = field(default_factory=dict, compare=False)

    def judge_results(self, results: Sequence[Any]) -> Evidence:
        """Evidence on the results of ``CaseWorkload.build_and_compute``."""
        return self.expectation.judge(results)

    def judge_sample(self, record: JudgedSample) -> Evidence:
        """Evidence on the judged calls of a sample; for a training, also on the parameters after all calls."""
        if self.case.operation == "train":
            return self._judge_training(record)
        judge = self._judge_forward if self.case.operation == "forward" else self._judge_gradient
        pairs = zip(record.plan.judged.values(), record.results, strict=True)
        return combined(judge(seed, result) for seed, result in pairs)

    def _judge_forward(self, seed: int, output: Any) -> Evidence:
        if type(output) is not np.ndarray or output.dtype != np.dtype(self.case.dtype):
            return Evidence(False, np.inf, np.inf, f"forward does not return an array of {self.case.dtype}")
        (target,) = self._call_targets(seed)
        return target.judge(output)

    def _judge_gradient(self, seed: int, result: Any) -> Evidence:
        loss, gradient = result
        loss_target, gradient_target = self._call_targets(seed)
        return combined([loss_target.judge(loss), gradient_target.judge(flat(gradient))])

    def _call_targets(self, seed: int) -> list[Target]:
        """The targets of a call of ``forward`` or ``gradient`` with the arguments of this seed."""
        if seed not in self._targets:
            (arguments,) = self._draw(seed, 1)
            analyzed = self._in_both_dtypes(lambda dtype: self._analyze(dtype, arguments))
            names = ("output",) if self.case.operation == "forward" else ("loss", "gradient")
            networks = (None, self.case.network)
            self._targets[seed] = [
                bounded_target(name, self.case.dtype, reference, bounded, network)
                for name, network, reference, bounded in zip(names, networks, *analyzed, strict=False)
            ]
        return self._targets[seed]

    def _analyze(self, dtype: str, arguments: Arguments) -> list[Bounded]:
        """Values and bounds of the results of a call."""
        analysis, pairs = Analysis(self.case.network, dtype), exact_pairs(self.expectation.problem.parameters)
        X = exact(arguments[0])
        if X.value.ndim == 1:
            return [analysis.forward(pairs, X.as_row()).outputs[0]]
        forward = analysis.forward(pairs, X)
        if self.case.operation == "forward":
            return [forward.outputs]
        Y = exact(arguments[1])
        return [analysis.loss(forward, Y), flat_bounded(analysis.gradient(pairs, forward, Y))]

    def _judge_training(self, record: JudgedSample) -> Evidence:
        """Compare the calls of a sample with an exact training from the parameters before the sample.

        The learning rate is so small that the bound grows only linearly with the number of updates. After 400 updates
        in float32, a missing epoch still changes some parameter by more than 50 times the bound.
        """
        trained = self._in_both_dtypes(lambda dtype: self._train(dtype, record))
        (reference_losses, reference_pairs), (losses, pairs) = trained
        loss_targets = (
            bounded_target("loss of a timed epoch", self.case.dtype, reference_losses[position], losses[position])
            for position in record.plan.judged
        )
        parameter_target = bounded_target(
            "parameter after a timed training",
            self.case.dtype,
            flat_bounded(reference_pairs),
            flat_bounded(pairs),
            self.case.network,
        )
        judged_losses = [target.judge(result) for target, result in zip(loss_targets, record.results, strict=True)]
        return combined([*judged_losses, parameter_target.judge(flat(record.after))])

    def _train(self, dtype: str, record: JudgedSample) -> tuple[list[Bounded], Any]:
        """The losses of each call of a sample, and the parameters after the last."""
        analysis, pairs = Analysis(self.case.network, dtype), exact_pairs(record.before)
        losses = []
        for X, Y in record.plan.arguments(self._draw):
            call_losses, pairs = analysis.train(
                pairs,
                exact(X),
                exact(Y),
                steps=self.case.steps,
                epochs=self.case.epochs,
                learning_rate=LEARNING_RATE,
                bias_learning_rate=LEARNING_RATE,
                mean=True,
            )
            losses.append(call_losses)
        return losses, pairs

    def _in_both_dtypes(self, analyze: Callable[[str], Any]) -> list[Any]:
        """The analysis in float64, which is the reference, and the one in the dtype of the case."""
        reference = analyze("float64")
        return [reference, reference if self.case.dtype == "float64" else analyze(self.case.dtype)]

    def _draw(self, seed: int, count: int) -> list[Arguments]:
        return ModelWorkload.of("", self.case, self.expectation.problem).draw(seed, count)


@cache
def contract_evidence(name: str, dtype: str) -> Evidence:
    """Evidence that a backend keeps the contract, from a small network; checked once per process."""
    backend = load(name)
    network = contract_tests.contract_network(backend)
    return contract_tests.check_contract(backend, draw_problem(network, CONTRACT_BATCH, dtype))


def build_model(backend: Backend, case: Case, problem: Problem) -> Model:
    """Build a model of the case's network with the problem's parameters."""
    return backend.build(case.network, problem.parameters, dtype=case.dtype)


def copy_of(problem: Problem) -> Problem:
    """A copy whose arrays the code under test may change without harm to others."""
    parameters = [(W.copy(), b.copy()) for W, b in problem.parameters]
    return Problem(problem.network, problem.dtype, parameters, problem.X.copy(), problem.Y.copy())
