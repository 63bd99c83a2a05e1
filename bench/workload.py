"""The call of a model that is timed, and a workload of plain data that builds it in any revision of ``impls``.

A process that measures another revision imports this module. So it uses of ``impls`` the names of the contract alone,
and imports nothing that uses more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

import impls
from pairbench.workload import TimedCall

if TYPE_CHECKING:
    from bench.cases import Case
    from bench.proof.problems import Problem

# Small, so that the many epochs of a measurement leave the network far from saturation: what is timed stays the same.
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class CallOutcome:
    """What a call returned; of a training also the parameters before and after, else None."""

    result: Any
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class ModelCall(TimedCall):
    """The timed call of a model."""

    model: Any


def timed_call(case: Case | RevisionWorkload, model: Any, problem: Problem | RevisionWorkload) -> ModelCall:
    """The call that is timed, ``function(argument)``.

    For ``forward`` the function is the model's own bound method, for a call may take less than half a microsecond and
    another frame 0.05 of it. The other operations have their further arguments bound by ``functools.partial``.
    """
    # An array that was pickled holds another dtype object than NumPy's own, which the fast path of ``forward``
    # compares by identity; what ``astype`` returns holds NumPy's own.
    X, Y = problem.X.astype(case.dtype, order="C"), problem.Y.astype(case.dtype, order="C")
    function, argument = model.forward, X[0].copy() if case.batch == 1 else X
    if case.operation == "gradient":
        function, argument = partial(model.gradient, X, reduction="sum"), Y
    elif case.operation == "train":
        function = partial(model.train, X, epochs=case.epochs, learning_rate=LEARNING_RATE, batches=case.batches)
        argument = Y
    is_training = case.operation == "train"

    def outcome() -> CallOutcome:
        if not is_training:
            return CallOutcome(function(argument))
        before = model.parameters()
        return CallOutcome(function(argument), before, model.parameters())

    return ModelCall(function, argument, outcome, model)


@dataclass(frozen=True)
class RevisionWorkload:
    """A backend at a case as plain data, for a process that imports another revision's ``impls``."""

    backend: str
    layer_sizes: tuple[int, ...]
    hidden: str
    output: str
    loss: str
    operation: str
    batch: int
    dtype: str
    epochs: int
    batches: int | None
    parameters: list[tuple[NDArray[Any], NDArray[Any]]]
    X: NDArray[Any]
    Y: NDArray[Any]

    @classmethod
    def of(cls, backend: str, case: Case, problem: Problem) -> RevisionWorkload:
        """The workload of a backend at a case, with the problem's parameters and data."""
        network = case.network
        return cls(
            backend=backend,
            layer_sizes=network.layer_sizes,
            hidden=network.hidden,
            output=network.output,
            loss=network.loss,
            operation=case.operation,
            batch=case.batch,
            dtype=case.dtype,
            epochs=case.epochs,
            batches=case.batches,
            parameters=problem.parameters,
            X=problem.X,
            Y=problem.Y,
        )

    def build(self) -> ModelCall:
        """Load the backend of the revision that is imported, and make its call ready."""
        network = impls.Network(self.layer_sizes, hidden=self.hidden, output=self.output, loss=self.loss)
        return timed_call(self, impls.load(self.backend).build(network, self.parameters, dtype=self.dtype), self)
