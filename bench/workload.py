"""The timed call of a model, and a workload that builds this call with any revision of ``impls``.

Worker processes that import another revision of ``impls`` import this module. The module and its imports therefore use
only those names of ``impls`` that every revision has.
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

# Small, so that many epochs of training do not saturate the network, and all timed calls do the same work.
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class CallOutcome:
    """The result of a call; for a training also the parameters before and after the call."""

    result: Any
    before: Any = None
    after: Any = None


@dataclass(frozen=True)
class ModelCall(TimedCall):
    """The timed call of a model."""

    model: Any


def timed_call(case: Case | RevisionWorkload, model: Any, problem: Problem | RevisionWorkload) -> ModelCall:
    """The call to time, ``function(argument)``.

    For ``forward`` the function is the model's bound method: a wrapper would add 0.05 µs to a call that may take less
    than 0.5 µs. For the other operations, ``functools.partial`` binds the further arguments.
    """
    # The fast path of ``forward`` compares dtype objects by identity. An unpickled array has a dtype object of its own;
    # ``astype`` returns an array with NumPy's dtype object.
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
    """A backend at a case as plain data, for a process that imports another revision of ``impls``."""

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
        """Load the backend of the imported revision, and build its timed call."""
        network = impls.Network(self.layer_sizes, hidden=self.hidden, output=self.output, loss=self.loss)
        return timed_call(self, impls.load(self.backend).build(network, self.parameters, dtype=self.dtype), self)
