"""The functions that are compared, with their arguments, and what cannot be compared."""

from __future__ import annotations

import functools
import inspect
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pairbench.error_text import describe_error
from pairbench.visible_text import one_line
from pairbench.workload import WorkloadError

REFERENCE, CONTROL = "reference", "A/A"
"""Names of the arms that time the reference, once and a second time."""
MAX_PROCESSES = 100

Function = Callable[..., Any]


class CompareError(ValueError):
    """Functions cannot be compared; the message says why in one line, and what would be right."""


@dataclass(frozen=True)
class FunctionSet:
    """Functions by name, the reference first under the name ``REFERENCE``, and where their arguments come from.

    ``setup`` returns new arguments for each call; without it every call has ``args``. All calls have ``kwargs``.
    """

    functions: Mapping[str, Function]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    setup: Callable[[], tuple[Any, ...]] | None

    @classmethod
    def of(
        cls,
        reference: Function,
        candidates: Mapping[str, Function],
        args: Sequence[Any],
        kwargs: Mapping[str, Any] | None,
        setup: Callable[[], tuple[Any, ...]] | None,
    ) -> FunctionSet:
        """The functions, after a check of all arguments. Raises CompareError."""
        if not isinstance(candidates, Mapping) or not candidates:
            raise CompareError('candidates must be a dict of functions by name, such as {"numpy": mean_numpy}')
        for name in candidates:
            if not isinstance(name, str) or not name.strip():
                raise CompareError(f"the name of a candidate must be a text, not {one_line(repr(name))}")
            if name in (REFERENCE, CONTROL):
                raise CompareError(f"a candidate cannot have the name {name!r}, which the tables use for the reference")
        functions = {REFERENCE: reference, **candidates}
        for name, function in functions.items():
            _check_function(name, function)
        if isinstance(args, str | bytes) or not isinstance(args, Sequence):
            raise CompareError(f"args must be a tuple of arguments, not {type(args).__name__}; write args=(value,)")
        if kwargs is not None and not isinstance(kwargs, Mapping):
            raise CompareError(f"kwargs must be a dict of keyword arguments, not {type(kwargs).__name__}")
        if setup is not None and args:
            raise CompareError("give either args or setup, a function that returns the arguments, not both")
        if setup is not None:
            _check_function("setup", setup)
        return cls(functions, tuple(args), dict(kwargs or {}), setup)

    def calls(self) -> dict[str, Function]:
        """The functions to call with positional arguments, with the A/A control as a second arm of the reference."""
        calls = {name: self.with_keywords(function) for name, function in self.functions.items()}
        reference = calls.pop(REFERENCE)
        return {REFERENCE: reference, CONTROL: reference, **calls}

    def with_keywords(self, function: Function) -> Function:
        """The function with the keyword arguments bound."""
        return functools.partial(function, **self.kwargs) if self.kwargs else function

    def without(self, name: str) -> FunctionSet:
        """The set without a candidate."""
        kept = {other: function for other, function in self.functions.items() if other != name}
        return FunctionSet(kept, self.args, self.kwargs, self.setup)

    def pickled(self) -> bytes:
        """The set for a fresh process, which imports the functions. Raises CompareError, which names what it cannot."""
        for name, function in [*self.functions.items(), ("setup", self.setup)]:
            if function is not None and (reason := _why_not_importable(function)):
                raise CompareError(f"a fresh process cannot import {_label(name, function)}: {reason}")
        try:
            return pickle.dumps(self)
        except Exception as error:
            raise CompareError(f"the arguments cannot be sent to a fresh process: {describe_error(error)}") from error


def check_numbers(processes: int, budget: float, timeout: float) -> None:
    """Raise CompareError unless the numbers make sense."""
    if not isinstance(processes, int) or not 1 <= processes <= MAX_PROCESSES:
        raise CompareError(f"processes must be a whole number from 1 to {MAX_PROCESSES}, not {processes!r}")
    for name, value in (("budget", budget), ("timeout", timeout)):
        if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise CompareError(f"{name} must be a positive number of seconds, not {value!r}")


def display_name(function: Function) -> str:
    """The name of a function as a reader knows it."""
    inner = function.func if isinstance(function, functools.partial) else function
    return one_line(str(getattr(inner, "__name__", type(inner).__name__)))


def _label(name: str, function: Function) -> str:
    return f"{name} ({display_name(function)})" if display_name(function) != name else name


def _check_function(name: str, function: Function) -> None:
    if not callable(function):
        raise CompareError(f"{name} must be a function, not {type(function).__name__}")
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    call = inner if inspect.isroutine(inner) or inspect.isclass(inner) else type(inner).__call__
    for candidate in (inner, call):
        if inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise CompareError(
                f"{_label(name, function)} is asynchronous, and a call only creates a coroutine; "
                "give a function that runs it, such as by asyncio.run"
            )
        if inspect.isgeneratorfunction(candidate):
            raise CompareError(
                f"{_label(name, function)} is a generator function, and a call does not run it; "
                "give a function that consumes it, such as by list"
            )


def refuse_lazy_result(output: Any) -> None:
    """Raise WorkloadError if a call has returned work that is still to be done."""
    if inspect.isgenerator(output) or inspect.isasyncgen(output) or inspect.iscoroutine(output):
        raise WorkloadError(
            f"returns a {type(output).__name__}, so its work is not done when it returns; "
            "give a function that consumes the result"
        )


def _why_not_importable(function: Function) -> str:
    """Why a fresh process cannot import a function; empty if it can."""
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name, module = getattr(inner, "__qualname__", ""), getattr(inner, "__module__", None)
    if "<lambda>" in name:
        return "it is a lambda; define it with def in a module"
    if "<locals>" in name:
        return "it is defined inside a function (a closure); define it at the top of a module"
    if module == "__main__":
        return "it is defined in __main__, a script or notebook; move it into a module"
    try:
        pickle.dumps(function)
    except Exception as error:
        return describe_error(error)
    return ""
