"""Whether a result equals another one: numbers within a tolerance, in nested lists, tuples, dicts and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Number
from typing import Any

import numpy as np

from pairbench.error_text import describe_error
from pairbench.visible_text import one_line

SHOWN = 60
"""Characters of a value that a message shows."""

Check = Callable[[Any, Any], object]


def difference(expected: Any, output: Any, rtol: float, atol: float) -> str:
    """How ``output`` differs from ``expected``, in one line; empty if they are equal.

    Floating-point and complex numbers may differ by ``atol + rtol * abs(expected)``; NaN equals NaN. Lists, tuples and
    arrays are compared element by element with each other, dicts by key. Everything else must be equal by ``==``.
    """
    return _difference(expected, output, rtol, atol, "result")


def check_difference(check: Check, expected: Any, output: Any) -> str:
    """How ``output`` differs by the user's check, in one line; empty if the check accepts it.

    A check refuses by an AssertionError, or by a false value other than None.
    """
    try:
        answer = check(expected, output)
        refused = answer is not None and not answer
    except Exception as error:
        return f"the check raises {describe_error(error)}"
    return "the check does not accept the result" if refused else ""


def _difference(expected: Any, output: Any, rtol: float, atol: float, place: str) -> str:
    if _is_array(expected) or _is_array(output):
        return _array_difference(expected, output, rtol, atol, place)
    if isinstance(expected, Mapping) and isinstance(output, Mapping):
        if expected.keys() != output.keys():
            odd = next(iter(expected.keys() ^ output.keys()))
            return f"the key {_shown(odd)} is in one {place} only"
        pairs = ((expected[key], output[key], f"{place}[{_shown(key)}]") for key in expected)
    elif isinstance(expected, list | tuple) and isinstance(output, list | tuple):
        if len(expected) != len(output):
            return f"{place} has {len(output)} elements instead of {len(expected)}"
        numbered = enumerate(zip(expected, output, strict=True))
        pairs = ((one, other, f"{place}[{index}]") for index, (one, other) in numbered)
    else:
        return _scalar_difference(expected, output, rtol, atol, place)
    return next(filter(None, (_difference(one, other, rtol, atol, where) for one, other, where in pairs)), "")


def _scalar_difference(expected: Any, output: Any, rtol: float, atol: float, place: str) -> str:
    shown = f"{place} is {_shown(output)} instead of {_shown(expected)}"
    if isinstance(expected, Number) and isinstance(output, Number):
        return "" if _close(expected, output, rtol, atol) else shown
    if not _compares(type(expected)) and expected is not output:
        return f"{place} is of type {type(expected).__name__}, which cannot be compared; give check="
    try:
        return "" if bool(expected == output) else shown
    except Exception as error:
        return f"{place} cannot be compared: {describe_error(error)}; give check="


def _compares(kind: type) -> bool:
    """Whether a class defines equality, other than that of identity."""
    return any("__eq__" in vars(one) for one in kind.__mro__ if one is not object)


def _close(expected: Any, output: Any, rtol: float, atol: float) -> bool:
    if expected == output:
        return True
    if not isinstance(expected, float | complex) and not isinstance(output, float | complex):
        return False
    if expected != expected or output != output:
        return bool(expected != expected and output != output)
    try:
        distance = abs(complex(output) - complex(expected))
    except (OverflowError, TypeError):
        return False
    return math.isfinite(distance) and distance <= atol + rtol * abs(complex(expected))


def _is_array(value: Any) -> bool:
    return hasattr(type(value), "__array__")


def _array_difference(expected: Any, output: Any, rtol: float, atol: float, place: str) -> str:
    try:
        one, other = np.asarray(expected), np.asarray(output)
    except Exception as error:
        return f"{place} cannot be compared: {describe_error(error)}; give check="
    if one.shape != other.shape:
        return f"{place} has the shape {other.shape} instead of {one.shape}"
    if "O" in (one.dtype.kind, other.dtype.kind) or one.dtype.names or other.dtype.names:
        return _difference(one.tolist(), other.tolist(), rtol, atol, place)
    if {one.dtype.kind, other.dtype.kind} <= set("biufc") and {one.dtype.kind, other.dtype.kind} & set("fc"):
        with np.errstate(all="ignore"):
            equal = (one == other) | (np.isnan(one) & np.isnan(other))
            equal |= np.isfinite(one) & np.isfinite(other) & (abs(other - one) <= atol + rtol * abs(one))
    else:
        equal = np.asarray(one == other)
    if equal.all():
        return ""
    wrong = np.argwhere(~equal)
    index = tuple(map(int, wrong[0]))
    first = f"{place}{list(index) if index else ''} is {_shown(other[index])} instead of {_shown(one[index])}"
    return first if one.size == 1 else f"{len(wrong)} of {one.size} elements differ; {first}"


def _shown(value: Any) -> str:
    """The value in one line, shortened."""
    try:
        text = one_line(repr(value.item() if isinstance(value, np.generic) else value))
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
