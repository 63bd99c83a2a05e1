"""The innermost loop of the measuring: so many calls, between two readings of the clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter_ns
from typing import Any

MAX_DOUBLINGS = 20
SAMPLE_SECONDS = 0.005
"""Seconds that an arm is timed for in a block, by as many calls as fit; a slower call is timed alone."""


def time_calls(function: Callable[[Any], object], argument: Any, loops: int) -> float:
    """Seconds per call of ``function(argument)``, over ``loops`` calls.

    The loop adds to a call one step of ``repeat`` and the call instruction, 0.02 µs or so, and to the whole
    one reading of the clock, 0.1 µs.
    """
    steps = repeat(None, loops)
    start = perf_counter_ns()
    for _ in steps:
        function(argument)
    return (perf_counter_ns() - start) * 1e-9 / loops


def estimate_seconds(function: Callable[[Any], object], argument: Any) -> float:
    """Seconds per call, roughly: from as many calls, doubled each time, as fill a fifth of a stretch.

    One call before is not counted: the first with these very arguments may load or compile something. Raises
    RuntimeError where the clock stands still.
    """
    function(argument)
    for loops in (2**power for power in range(MAX_DOUBLINGS)):
        seconds = time_calls(function, argument, loops)
        if seconds * loops >= SAMPLE_SECONDS / 5:
            return seconds
    raise RuntimeError("the clock stands still")
