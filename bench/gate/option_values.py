"""Checks the values of the gate's command-line options, and writes options for the commands that it recommends."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


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


def row_options(
    backends: Iterable[str], networks: Iterable[str], operations: Iterable[str], batches: Iterable[int]
) -> str:
    """The options that choose these rows, as text for a shell; empty for the default rows."""
    named = {"--backend": backends, "--network": networks, "--operation": operations, "--batch": batches}
    return shlex.join(word for option, values in named.items() for value in values for word in (option, str(value)))
