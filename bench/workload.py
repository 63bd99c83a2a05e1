"""The timed call of a model, and a workload that builds this call with any revision of ``impls``.

Worker processes that import another revision of ``impls`` import this module. The module and its imports therefore use
only those names of ``impls`` that every revision has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import impls
from pairbench.timer import Arguments
from pairbench.workload import TimedCall

if TYPE_CHECKING:
    from bench.cases import Case
    from bench.proof.problems import Problem

# Small, so that many epochs of training do not saturate the network, and all timed calls do the same work.
LEARNING_RATE = 1e-4


@dataclass(frozen=True)
class ModelWorkload:
    """A backend at a case as plain data, so that a process can import another revision of ``impls``."""

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
    def of(cls, backend: str, case: Case, problem: Problem) -> ModelWorkload:
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

    def build(self) -> TimedCall:
        """Load the backend of the imported revision, and build its timed call; a first call compiles the code."""
        network = impls.Network(self.layer_sizes, hidden=self.hidden, output=self.output, loss=self.loss)
        backend = _load(self.backend)
        call = self.timed_call(backend.build(network, self.parameters, dtype=self.dtype))
        if backend.compiles:
            call.function(*call.draw(0, 1)[0])
        return call

    def timed_call(self, model: Any) -> TimedCall:
        """The timed call of a model.

        For ``forward`` the function is the model's bound method: a wrapper would add 0.05 µs to a call that may take
        less than 0.5 µs. For the other operations, ``functools.partial`` binds the further arguments.
        """
        match self.operation:
            case "forward":
                return TimedCall(model.forward, self.draw)
            case "gradient":
                return TimedCall(partial(model.gradient, reduction="sum"), self.draw)
            case _:
                train = partial(model.train, epochs=self.epochs, learning_rate=LEARNING_RATE, batches=self.batches)
                return TimedCall(train, self.draw, model.parameters)

    def draw(self, seed: int, count: int) -> list[Arguments]:
        """The arguments of ``count`` calls: (x,) or (X,) for ``forward``, else (X, Y).

        Every call has arrays of its own: the problem's inputs, rotated by a random number of elements that is no whole
        number of rows, and its targets, rotated by a random number of samples. Each row of the inputs has one new
        element, at a random place. No two calls have an equal row, nor rows that differ in a few elements only.
        """
        random = np.random.default_rng(seed)
        # The fast path of ``forward`` compares dtype objects by identity. An unpickled array has a dtype object of its
        # own; ``astype`` returns an array with NumPy's dtype object.
        X, Y = self.X.astype(self.dtype, order="C"), self.Y.astype(self.dtype, order="C")
        inputs = X[0] if (self.operation, self.batch) == ("forward", 1) else X
        n = inputs.shape[-1]
        rows = np.arange(inputs.size // n)
        places = random.integers(n, size=(count, len(rows)))
        values = random.normal(size=(count, len(rows)))
        elements = np.concatenate([inputs.ravel(), inputs.ravel()])
        starts = n * random.integers(len(rows), size=count) + random.integers(min(1, n - 1), n, size=count)
        changed = np.stack([elements[start : start + inputs.size] for start in starts.tolist()])
        changed.reshape(count, len(rows), n)[np.arange(count)[:, np.newaxis], rows, places] = values
        arrays = [content.copy() for content in changed.reshape(count, *inputs.shape)]
        if self.operation == "forward":
            return [(array,) for array in arrays]
        twice, batch = np.concatenate([Y, Y]), len(Y)
        shifts = random.integers(batch, size=count).tolist()
        return [(array, twice[shift : shift + batch].copy()) for array, shift in zip(arrays, shifts, strict=True)]


@cache
def _load(name: str) -> impls.Backend:
    """The backend; a process that builds many rows looks for it once, because that reads all installed packages."""
    return impls.load(name)
