"""Figures as a document prints them, and whether a value is the same to every digit that is printed."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal

import numpy as np
from numpy.typing import ArrayLike

from bench.records.schema import Form

SHOWN = 3
"""Digits to show beyond the printed ones where these are not reproduced."""

ANY_SIZE = Context(prec=1000)


def reproduces(value: ArrayLike, printed: str, form: Form = "rounded") -> bool:
    """Whether the values, in order, are the numbers of ``printed``, which blanks separate."""
    values, numbers = _values(value), printed.split()
    if form == "below all":
        return all(float(number) < value for number in numbers for value in values)
    return len(values) == len(numbers) and all(map(_same, values, numbers, [form] * len(values)))


def shown(value: ArrayLike, printed: str, form: Form = "rounded") -> str:
    """The values to the digits printed; where these are not reproduced, to three more."""
    values, numbers = _values(value), printed.split()
    if form == "below all":
        return " to ".join(f"{one:g}" for one in sorted({min(values), max(values)}))
    if len(values) != len(numbers):
        return " ".join(f"{one:g}" for one in values)
    return " ".join(map(_shown, values, numbers, [form] * len(values)))


def _values(value: ArrayLike) -> list[float]:
    return [float(one) for one in np.ravel(value)]


def _same(value: float, number: str, form: Form) -> bool:
    if form == "exact":
        return value == float(number)
    if not math.isfinite(value):
        return False
    _, power, _ = number.partition("e")
    if power:  # its digits count from the value's own first digit
        return Decimal(f"{value:.{len(Decimal(number).as_tuple().digits) - 1}e}") == Decimal(number)
    return _cut(value, number, form) == Decimal(number)


def _cut(value: float, number: str, form: Form) -> Decimal:
    rounding = ROUND_DOWN if form == "truncated" else ROUND_HALF_EVEN
    return Decimal(value).quantize(Decimal(number), rounding, ANY_SIZE)


def _shown(value: float, number: str, form: Form) -> str:
    if _same(value, number, form):
        return number
    if form == "exact":
        return repr(value)
    digits = len(Decimal(number).as_tuple().digits)
    return f"{value:.{digits + SHOWN}g}"
