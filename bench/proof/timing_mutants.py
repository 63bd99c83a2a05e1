"""Timing mutants: backends that are right when they are checked, and cheat when they are timed.

Each must get no time. The functions of a mutant look for a sign that they are being timed, or avoid work that equal or
similar inputs have already caused. A mutant's docstring is the description of its fault that the user sees.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from impls import Backend, python_loops
from impls._backend import Array
from impls.numpy_plain import Model
from pairbench import timer

TIMING_MUTANTS: dict[str, Backend] = {}


def timing_mutant(model: type[Model]) -> type[Model]:
    """Register a model as a timing mutant."""
    TIMING_MUTANTS[model.__name__] = Backend(model.__name__, "mutant", model)
    return model


class Cheat(Model):
    """A model whose batches are computed by ``_cheat``; ``self._right`` computes them honestly."""

    def _forward_batch(self, X: Array) -> Array:
        return self._cheat(X) if X.ndim == 2 and len(X) == 64 else super()._forward_batch(X)

    def _right(self, X: Array) -> Array:
        return super()._forward_batch(X)

    def _cheat(self, X: Array) -> Array:
        raise NotImplementedError

    def _last(self, X: Array, compute: bool) -> Array:
        """The last honest result; a new one if ``compute`` is true or there is none."""
        if compute or "_kept" not in self.__dict__:
            self._kept = self._right(X)
        return self._kept.copy()


def _called_from(function: str) -> bool:
    """Whether a function of this name is among the callers."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == function:
            return True
        frame = frame.f_back
    return False


@timing_mutant
class ByCaller(Cheat):
    """Returns the last result if the function that takes samples is among its callers."""

    def _cheat(self, X: Array) -> Array:
        return self._last(X, compute=not _called_from("time_calls"))


@timing_mutant
class ByGarbageCollection(Cheat):
    """Returns the last result while the garbage collection is off."""

    def _cheat(self, X: Array) -> Array:
        return self._last(X, compute=gc.isenabled())


@timing_mutant
class ByIdentity(Cheat):
    """Returns the last result if the input has the id of the previous input."""

    def _cheat(self, X: Array) -> Array:
        same, self._id = self.__dict__.get("_id") == id(X), id(X)
        return self._last(X, compute=not same)


@timing_mutant
class BySpacing(Cheat):
    """Returns the last result if the previous call ended less than 20 µs ago."""

    def _cheat(self, X: Array) -> Array:
        result = self._last(X, compute=time.monotonic() - self.__dict__.get("_ended", 0.0) > 20e-6)
        self._ended = time.monotonic()
        return result


@timing_mutant
class ByContent(Cheat):
    """Keeps the results of all inputs, and returns a copy for an input with the same content."""

    def _cheat(self, X: Array) -> Array:
        results: dict[bytes, Array] = self.__dict__.setdefault("_results", {})
        key = X.tobytes()
        if key not in results:
            results[key] = self._right(X)
        return results[key].copy()


@timing_mutant
class ByFirstAndLast(Cheat):
    """Returns the last result if the first and the last element of the input have not changed."""

    def _cheat(self, X: Array) -> Array:
        key, known = (X[0, 0], X[-1, -1]), self.__dict__.get("_ends")
        self._ends = key
        return self._last(X, compute=key != known)


@timing_mutant
class EveryThird(Cheat):
    """Computes every third call, and otherwise returns the last result."""

    def _cheat(self, X: Array) -> Array:
        self._count = self.__dict__.get("_count", -1) + 1
        return self._last(X, compute=self._count % 3 == 0)


@timing_mutant
class SharedResult(Cheat):
    """Returns the same array for every call of a sample, overwritten by the next call."""

    def _cheat(self, X: Array) -> Array:
        if not _called_from("time_calls"):
            return self._right(X)
        shared: Array = self.__dict__.setdefault("_shared", np.empty((len(X), self.network.n_out), self.dtype))
        shared[:] = self._right(X)
        return shared


@timing_mutant
class ByReferenceCount(Cheat):
    """Leaves a result to the next call, which computes it only if its reference count shows that it was kept."""

    _pending: tuple[Array, Array]

    def _cheat(self, X: Array) -> Array:
        if not _called_from("time_calls"):
            return self._right(X)
        if "_pending" in self.__dict__:
            inputs, pending = self._pending
            if sys.getrefcount(pending) > 3:  # more than the tuple, this name and the argument
                pending[:] = self._right(inputs)
        self._pending = X, np.empty((len(X), self.network.n_out), self.dtype)
        return self._pending[1]


@timing_mutant
class UnwrittenResult(Cheat):
    """Returns memory that it has not written."""

    def _cheat(self, X: Array) -> Array:
        return np.empty((len(X), self.network.n_out), self.dtype) if _called_from("time_calls") else self._right(X)


@timing_mutant
class Asynchronous(Cheat):
    """Returns an array that a thread fills later."""

    def _cheat(self, X: Array) -> Array:
        if not _called_from("time_calls"):
            return self._right(X)
        result = np.empty((len(X), self.network.n_out), self.dtype)
        threading.Timer(0.01, lambda: np.copyto(result, self._right(X))).start()
        return result


@timing_mutant
class ThreadThatGoesOn(Cheat):
    """Lets a thread finish the second half of a batch after the call has returned."""

    def _cheat(self, X: Array) -> Array:
        if not _called_from("time_calls"):
            return self._right(X)
        result = np.empty((len(X), self.network.n_out), self.dtype)
        result[:32] = self._right(X[:32])

        def finish() -> None:
            time.sleep(0.005)  # on a busy machine, the caller may be late by more than a millisecond
            result[32:] = self._right(X[32:])

        threading.Thread(target=finish).start()
        return result


@timing_mutant
class OtherClock(Cheat):
    """Replaces the clock in the function that takes samples by one that goes at half the speed."""

    def _cheat(self, X: Array) -> Array:
        function: Any = timer.time_calls
        function.__defaults__ = (lambda: time.perf_counter_ns() // 2,)
        return self._right(X)


@timing_mutant
class OtherJudge(Cheat):
    """Returns zeros, and replaces the function that compares results."""

    def _cheat(self, X: Array) -> Array:
        from bench.proof.targets import Evidence, Target

        Target.judge = lambda self, computed: Evidence(True, 0.0, 0.0, "")  # type: ignore[method-assign]
        return np.zeros((len(X), self.network.n_out), self.dtype)


@timing_mutant
class SlowedReference(Cheat):
    """Makes the reference slower."""

    def _cheat(self, X: Array) -> Array:
        _slow_down(python_loops.Model)
        return self._right(X)


def _slow_down(model: type[Any]) -> None:
    """Add a pause to every batch of a class of models."""
    original: Callable[..., Any] = model._forward_batch
    if isinstance(original, FunctionType) and original.__name__ == "slowed":
        return

    def slowed(self: Any, X: Any) -> Any:
        time.sleep(1e-5)
        return original(self, X)

    model._forward_batch = slowed
