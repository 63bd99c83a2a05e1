"""Compares results of a function: of several calls, and of head and base. Results are the plain data of a worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pairbench import equality
from pairbench.workload import JudgedSample, OtherObject

RTOL = 1e-9
"""Relative difference up to which numbers are equal: a change of the order of a sum is no other result."""


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


def difference(expected: Any, result: Any) -> str:
    """How a result differs from the expected one, in one line; empty if they are equal, numbers up to ``RTOL``."""
    return equality.difference(expected, result, RTOL, 0.0)


def is_comparable(result: Any) -> bool:
    """Whether a result holds no object that stands for one of another type."""
    if type(result) in (list, tuple):
        return all(map(is_comparable, result))
    return not isinstance(result, OtherObject)
