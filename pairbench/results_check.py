"""Compares results of a function: of several calls, and of head and base. Results are the plain data of a worker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pairbench.visible_text import one_line
from pairbench.workload import JudgedSample, OtherObject

RTOL = 1e-9
"""Relative difference up to which numbers are equal: a change of the order of a sum is no other result."""
SHOWN = 60
"""Characters of a result that a message shows."""


@dataclass(frozen=True)
class Evidence:
    """The outcome of a check; ``reason`` describes the difference, and is empty without one."""

    reason: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is no difference."""
        return not self.reason


@dataclass(frozen=True)
class RepeatJudge:
    """Judges timed calls by the results of untimed ones; without any, every result is accepted."""

    expected: Sequence[Any]

    def __call__(self, record: JudgedSample) -> Evidence:
        """Compare the judged calls of a sample with the expected results."""
        for result in record.results:
            differences = [difference(expected, result) for expected in self.expected]
            if differences and all(differences):
                return Evidence(f"a timed call has another result than an untimed one: {differences[0]}")
        return Evidence()


def difference(one: Any, other: Any) -> str:
    """How two results differ, in one line; empty if they are equal. Numbers are equal up to ``RTOL``."""
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return _array_difference(one, other)
    if type(one) in (list, tuple) and type(one) is type(other):
        if len(one) != len(other):
            return f"{len(one)} values, not {len(other)}"
        return next(filter(None, map(difference, one, other)), "")
    if isinstance(one, int | float | np.number) and isinstance(other, int | float | np.number):
        both_nan = one != one and other != other
        return "" if both_nan or math.isclose(one, other, rel_tol=RTOL) else _both(one, other)
    return "" if type(one) is type(other) and one == other else _both(one, other)


def _array_difference(one: Any, other: Any) -> str:
    if not (isinstance(one, np.ndarray) and isinstance(other, np.ndarray)):
        return _both(one, other)
    if one.shape != other.shape:
        return f"shape {one.shape}, not {other.shape}"
    if one.dtype.kind in "fc" or other.dtype.kind in "fc":
        equal = np.isclose(one, other, rtol=RTOL, atol=0.0, equal_nan=True)
    else:
        equal = one == other
    if np.all(equal):
        return ""
    place = tuple(map(int, np.argwhere(~np.asarray(equal))[0]))
    return f"{_both(one[place], other[place])} at {list(place)}"


def is_comparable(result: Any) -> bool:
    """Whether a result holds no object that stands for one of another type."""
    if type(result) in (list, tuple):
        return all(map(is_comparable, result))
    return not isinstance(result, OtherObject)


def _both(one: Any, other: Any) -> str:
    return f"{_shown(one)}, not {_shown(other)}"


def _shown(value: Any) -> str:
    text = value.type_name if isinstance(value, OtherObject) else one_line(str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
