"""Comparison of values with printed figures, to the last printed digit."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal

import numpy as np
from numpy.typing import ArrayLike

from bench.records.tutorial_schema import Form

SHOWN = 3
"""Number of additional digits that ``shown`` gives for a value that differs from the printed figure."""

ANY_SIZE = Context(prec=1000)


def reproduces(value: ArrayLike, printed: str, form: Form = "rounded") -> bool:
    """Whether the values, in order, equal the numbers in ``printed``, which are separated by spaces.

    With the form "rounded" or "truncated", the values are rounded or truncated to the printed digits. "exact" compares
    without rounding. "below all" requires that the printed numbers are less than every value.
    """
    values, numbers = _values(value), printed.split()
    if form == "below all":
        return all(float(number) < value for number in numbers for value in values)
    return len(values) == len(numbers) and all(map(_same, values, numbers, [form] * len(values)))


def shown(value: ArrayLike, printed: str, form: Form = "rounded") -> str:
    """Format the values with the printed digits, or with SHOWN additional digits if a value differs."""
    values, numbers = _values(value), printed.split()
    if form == "below all":
        return " to ".join(f"{end:g}" for end in sorted({min(values), max(values)}))
    if len(values) != len(numbers):
        return " ".join(f"{number:g}" for number in values)
    return " ".join(map(_format, values, numbers, [form] * len(values)))


def _values(value: ArrayLike) -> list[float]:
    return [float(number) for number in np.ravel(value)]


def _same(value: float, number: str, form: Form) -> bool:
    if form == "exact":
        return value == float(number)
    if not math.isfinite(value):
        return False
    _, power, _ = number.partition("e")
    if power:  # in exponent form, the digits count from the first digit of the value
        return Decimal(f"{value:.{len(Decimal(number).as_tuple().digits) - 1}e}") == Decimal(number)
    return _to_printed_digits(value, number, form) == Decimal(number)


def _to_printed_digits(value: float, number: str, form: Form) -> Decimal:
    rounding = ROUND_DOWN if form == "truncated" else ROUND_HALF_EVEN
    return Decimal(value).quantize(Decimal(number), rounding, ANY_SIZE)


def _format(value: float, number: str, form: Form) -> str:
    if _same(value, number, form):
        return number
    if form == "exact":
        return repr(value)
    digits = len(Decimal(number).as_tuple().digits)
    return f"{value:.{digits + SHOWN}g}"
