"""The backend that the contract tests are run on, and how they compare its results with bounded ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.proof.bounds import Analysis, Bounded, Pairs, exact, exact_pairs, in_both_dtypes
from bench.proof.problems import Problem
from bench.proof.targets import bounded_target, flat, flat_bounded
from impls import Backend, Model


class ContractViolation(Exception):
    """A backend violates the contract; the text says how."""


@dataclass(frozen=True)
class Subject:
    """The backend under test and the problem to test it with."""

    backend: Backend
    problem: Problem

    def build(self, problem: Problem | None = None) -> Model:
        """Build a new model of the problem, or of the one that is given."""
        problem = problem or self.problem
        return self.backend.build(problem.network, problem.parameters, problem.dtype)

    def supports(self, operation: str) -> bool:
        """Whether the backend supports an operation on the problem's network. Tests skip unsupported operations."""
        return operation not in self.backend.lacks(self.problem.network)

    def outputs(self, X: Any, parameters: Any = None) -> tuple[Any, Any]:
        """Analyse the outputs of a batch X (batch, n_in), in float64 and in the dtype of the problem."""
        pairs = exact_pairs(parameters or self.problem.parameters)
        network = self.problem.network
        return in_both_dtypes(
            lambda dtype: Analysis(network, dtype).forward(pairs, exact(X)).outputs, self.problem.dtype
        )


def require(condition: bool | np.bool_, text: str) -> None:
    """Raise ContractViolation with the text unless the condition holds."""
    if not condition:
        raise ContractViolation(text)


def judge(quantity: str, dtype: str, reference: Any, allowed: Any, computed: Any) -> float:
    """Return the largest error ÷ its bound. Raises ContractViolation if an error is larger than its bound."""
    evidence = bounded_target(quantity, dtype, reference, allowed).judge(computed)
    require(evidence.ok, evidence.reason)
    return evidence.share


def equal(a: Any, b: Any) -> bool:
    """Whether two arrays, or two lists of layers, have the same values; NaN equals NaN in layers."""
    return bool(np.array_equal(flat(a), flat(b), equal_nan=True) if isinstance(a, list) else np.array_equal(a, b))


def loss_and_gradient(subject: Subject, problem: Problem, model: Model) -> Iterator[float]:
    """Compare the losses and gradients of a problem's batch, as sums and as means; yields errors ÷ their bounds."""
    X, Y = problem.X, problem.Y

    def analyze(dtype: str) -> tuple[Analysis, Bounded, Pairs]:
        analysis, pairs = Analysis(problem.network, dtype), exact_pairs(problem.parameters)
        forward = analysis.forward(pairs, exact(X))
        return analysis, analysis.loss(forward, exact(Y)), analysis.gradient(pairs, forward, exact(Y))

    (reference, loss, gradient), (allowed, allowed_loss, allowed_gradient) = in_both_dtypes(analyze, problem.dtype)
    for reduction, scale in (("sum", 1.0), ("mean", 1 / len(X))):
        losses = reference.scaled(loss, scale), allowed.scaled(allowed_loss, scale)
        gradients = (
            reference.scaled(flat_bounded(gradient), scale),
            allowed.scaled(flat_bounded(allowed_gradient), scale),
        )
        if subject.supports("loss"):
            yield judge(f"{reduction} of losses", problem.dtype, *losses, model.loss(X, Y, reduction=reduction))
        if subject.supports("gradient"):
            total, computed = model.gradient(X, Y, reduction=reduction)
            yield judge(f"{reduction} of losses in gradient", problem.dtype, *losses, total)
            yield judge(f"{reduction} of gradients", problem.dtype, *gradients, flat(computed))
