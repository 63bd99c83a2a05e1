"""A function of somebody's project as a workload: it is named, and its arguments come as a pickle.

The functions here run in worker processes, which import a project's sources. The parent imports none of them.
"""

from __future__ import annotations

import inspect
import pickle
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from random import Random
from typing import Any

from pairbench.judged_samples import as_plain_data
from pairbench.timer import Arguments
from pairbench.workload import POOL, TimedCall, WorkloadError, failure_reason

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


class FunctionMissing(WorkloadError):
    """A module or function does not exist; the message names it."""


@dataclass(frozen=True)
class FunctionName:
    """The name of a function: its module, and its name in the module, such as ``mean`` or ``Table.mean``."""

    module: str
    qualname: str

    @classmethod
    def parse(cls, text: str) -> FunctionName:
        """Parse a name such as "pkg.mod:f". Raises ValueError."""
        if not _NAME.fullmatch(text):
            raise ValueError(f"a function is named by module and name, such as package.module:name, not {text!r}")
        module, _, qualname = text.partition(":")
        return cls(module, qualname)

    def __str__(self) -> str:
        return f"{self.module}:{self.qualname}"

    @property
    def package(self) -> str:
        """The package, or the module if it belongs to none."""
        return self.module.partition(".")[0]

    def load(self) -> Callable[..., Any]:
        """Import the function. Raises FunctionMissing, and WorkloadError for what cannot be timed."""
        try:
            found: Any = import_module(self.module)
        except ModuleNotFoundError as error:
            if f"{self.module}.".startswith(f"{error.name}."):
                raise FunctionMissing(f"there is no module {self.module}") from None
            raise
        for attribute in self.qualname.split("."):
            if not hasattr(found, attribute):
                raise FunctionMissing(f"{self.module} has no {self.qualname}")
            found = getattr(found, attribute)
        if not callable(found):
            raise WorkloadError(f"{self} is no function")
        if inspect.iscoroutinefunction(found) or inspect.isasyncgenfunction(found):
            raise WorkloadError(f"{self} is asynchronous: its call returns before the work is done")
        if inspect.isgeneratorfunction(found):
            raise WorkloadError(f"{self} is a generator: its call returns before the work is done")
        return found  # type: ignore[no-any-return]


@dataclass(frozen=True)
class FunctionWorkload:
    """Calls of a function with the same arguments; ``arguments`` is the pickle of a tuple and a dictionary.

    If the calls change their arguments, each gets a copy of its own, which is made outside of the timing.
    """

    name: FunctionName
    arguments: bytes
    changes_arguments: bool = False

    def build(self) -> TimedCall:
        """Import the function, and call it once, which may compile code."""
        function = self.name.load()
        arguments, named = pickle.loads(self.arguments)
        if named:
            function = partial(function, **named)
        function(*arguments)
        if self.changes_arguments:
            return TimedCall(partial(_call_with_copy, function), self._draw_copies)
        return TimedCall(function, lambda seed, count: [arguments] * count)

    def _draw_copies(self, seed: int, count: int) -> list[Arguments]:
        return [(Copies([self._copy() for _ in range(COPIES)]),) for _ in range(count)]

    def _copy(self) -> Arguments:
        arguments, _ = pickle.loads(self.arguments)
        return tuple(arguments)


MOST_LOOPS_WITH_COPIES = POOL
"""Most calls in a sample of a function that changes its arguments: with more, the arguments would repeat."""
COPIES = 2
"""Copies for each call. A sample uses those of its first call twice, once before the timing."""


@dataclass(frozen=True)
class Copies:
    """Copies of a call's arguments; the call takes one. All are equal, so that the check of inputs finds no change."""

    left: list[Arguments] = field(compare=False)


def _call_with_copy(function: Callable[..., Any], copies: Copies) -> Any:
    return function(*copies.left.pop())


@dataclass(frozen=True)
class Examination:
    """What a first look at a function tells.

    ``missing`` says why there is no such function, and ``failure`` why it cannot be timed; both are empty if it can.
    ``files`` has the files of the modules of the function's package. ``results`` are those of two calls, as plain data.
    ``changes_arguments``: whether the calls change their arguments. ``seconds``: rough time of a call.
    """

    missing: str = ""
    failure: str = ""
    files: tuple[tuple[str, str], ...] = ()
    results: tuple[Any, ...] = ()
    changes_arguments: bool = False
    seconds: float = 0.0


def examine(workload: FunctionWorkload) -> Examination:
    """In a worker process: import the function, call it twice with equal arguments, and estimate the time of a call."""
    try:
        examination = _call_twice(workload)
    except FunctionMissing as error:
        examination = Examination(missing=str(error))
    except (Exception, SystemExit) as error:
        examination = Examination(failure=failure_reason(error))
    return replace(examination, files=_files(workload.name.package))


def _call_twice(workload: FunctionWorkload) -> Examination:
    function = workload.name.load()
    results, changes = [], False
    for _ in range(2):
        arguments, named = pickle.loads(workload.arguments)
        before = pickle.dumps((arguments, named))
        results.append(as_plain_data(function(*arguments, **named)))
        changes = changes or pickle.dumps((arguments, named)) != before
    call = FunctionWorkload(workload.name, workload.arguments, changes).build()
    seconds = call.estimate_seconds(Random(0))
    return Examination(results=tuple(results), changes_arguments=changes, seconds=seconds)


def make_arguments(setup: FunctionName) -> bytes:
    """In a worker process: the arguments that a function without arguments returns, pickled.

    Raises WorkloadError if they are no tuple or cannot be pickled.
    """
    arguments = setup.load()()
    if not isinstance(arguments, tuple):
        raise WorkloadError(f"{setup} must return a tuple of arguments, not {type(arguments).__name__}")
    return pickle_arguments(arguments, {}, f"the arguments that {setup} returns")


def pickle_arguments(arguments: tuple[Any, ...], named: dict[str, Any], title: str) -> bytes:
    """The arguments as ``FunctionWorkload`` needs them. Raises WorkloadError if they cannot be pickled."""
    try:
        return pickle.dumps((arguments, named))
    except Exception as error:  # pickling runs code of the arguments
        raise WorkloadError(f"{title} cannot be sent to another process: {error}") from None


def _files(package: str) -> tuple[tuple[str, str], ...]:
    modules = ((name, module) for name, module in sorted(sys.modules.items()) if name.partition(".")[0] == package)
    return tuple((name, str(module.__file__)) for name, module in modules if getattr(module, "__file__", None))
