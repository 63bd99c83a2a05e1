"""Checks of one model around its timing: right before; still right, and still doing its work, after."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from bench.cases import Case
from bench.proof import conduct
from bench.proof.expectation import Expectation
from bench.proof.inputs import Problem, draw
from bench.proof.targets import Evidence
from impls import Backend, Model, Network, load

# The update of a model that was timed must be that of a fresh one. This is to notice work left out, not to
# prove equality, which the expectation does: so wide that another order of summation, even in float32, never
# reaches it.
UPDATE_TOLERANCE = 0.01
ROWS = 8
SMALL, SMALL_BATCH = Network((3, 3, 1)), 7


class CheckFailed(Exception):
    """A model is not right; the text says how in one line."""


@cache
def contract(name: str, dtype: str) -> Evidence:
    """Evidence that a backend keeps the contract's promises, tried once in a process, on a small network."""
    return conduct.check(load(name), draw(SMALL, SMALL_BATCH, dtype))


def build(backend: Backend, case: Case, problem: Problem) -> Model:
    """A model of the case's network with the problem's parameters."""
    return backend.build(case.network, problem.parameters, dtype=case.dtype)


def before(backend: Backend, case: Case, expectation: Expectation) -> tuple[Model, Evidence]:
    """A model that is ready to be timed, checked and thereby warm, and the evidence for it."""
    model = build(backend, case, expectation.problem)
    evidence = expectation.check(model)
    if case.operation == "train":  # the check has trained it
        model = build(backend, case, expectation.problem)
    return model, evidence


def after(backend: Backend, case: Case, expectation: Expectation, timed: Model) -> None:
    """Check the model that was timed, and what the backend builds by now. Raises CheckFailed.

    Training has changed the model that was timed: it is held to one built from the parameters it has now.
    """
    if case.operation == "train":
        _check_training(backend, case, expectation.problem, timed)
        require(expectation.check(build(backend, case, expectation.problem)))
    else:
        require(expectation.check(timed))


def require(evidence: Evidence) -> None:
    """Raise CheckFailed unless the evidence is good."""
    if not evidence.ok:
        raise CheckFailed(evidence.reason)


def _check_training(backend: Backend, case: Case, problem: Problem, timed: Model) -> None:
    start = timed.parameters()
    fresh = backend.build(case.network, start, dtype=case.dtype)
    X, Y = problem.X[:ROWS], problem.Y[:ROWS]
    updates, outputs = [], []
    for model in (timed, fresh):
        model.train(X, Y, epochs=1, learning_rate=1.0)
        updates.append(_flat(model.parameters()) - _flat(start))
        outputs.append(model.forward(X))
    for name, (of_timed, of_fresh) in {"training": updates, "forward": outputs}.items():
        if not np.linalg.norm(of_timed - of_fresh) <= UPDATE_TOLERANCE * np.linalg.norm(of_fresh):
            raise CheckFailed(f"{name} on the model that was timed is not that of a fresh one")


def _flat(parameters: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> NDArray[np.float64]:
    return np.concatenate([array.ravel() for pair in parameters for array in pair])
