"""Checks the values of command-line options."""

from __future__ import annotations


def parse_threshold(text: str) -> float:
    """Parse a threshold such as "5%", "5 %" or "0.05" into a share. Raises ValueError."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if number != text.strip() else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise ValueError(f"a threshold is a slowdown above 0% and at most 100%, such as 5% or 0.05, not {text!r}")
    return value


def check_budget(seconds: float) -> float:
    """Return the budget, in seconds. Raises ValueError unless it is positive and finite."""
    if not 0 < seconds < float("inf"):
        raise ValueError(f"a budget is a number of seconds above 0, not {seconds:g}")
    return seconds
