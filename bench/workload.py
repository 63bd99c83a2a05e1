"""The call of a model that is timed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.cases import Case
    from bench.proof.problems import Problem
    from impls import Model

# Small, so that the many epochs of a measurement leave the network far from saturation: what is timed stays the same.
LEARNING_RATE = 1e-4


def timed_call(case: Case, model: Model, problem: Problem) -> tuple[Callable[[Any], object], Any]:
    """Function and argument whose call ``function(argument)`` is timed.

    For ``forward`` the function is the model's own bound method, for a call may take less than half a microsecond and
    another frame 0.05 of it. The other operations have their further arguments bound by ``functools.partial``.
    """
    # An array that was pickled holds another dtype object than NumPy's own, which the quick way of ``forward``
    # compares by identity; what ``astype`` returns holds NumPy's own.
    X, Y = problem.X.astype(case.dtype, order="C"), problem.Y.astype(case.dtype, order="C")
    if case.operation == "forward":
        return model.forward, X[0].copy() if case.batch == 1 else X
    if case.operation == "gradient":
        return partial(model.gradient, X, reduction="sum"), Y
    return partial(model.train, X, epochs=case.epochs, learning_rate=LEARNING_RATE, batches=case.batches), Y
