"""The innermost loop: one sample is a number of calls between two readings of the clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter_ns
from typing import Any

SAMPLE_SECONDS = 0.001
"""Length of a sample; a slower call is timed alone.

A clock reading takes 0.1 µs, so a sample could be much shorter. It is not longer because of other processes: one that
has waited for the CPU gets a few milliseconds of it undisturbed. Beside two busy processes, the ratios of rounds
with samples of 10, 2 and 1 ms, as long in all, had standard deviations of 9, 3.5 and 2.4 %.
"""
WARM_UP_SHARE = 10
"""One in so many of a sample's calls is made before it and not timed: other arms have had the caches."""
MAX_DOUBLINGS = 20


def loops_per_sample(seconds: float) -> int:
    """How many calls of so many seconds make a sample, at least one."""
    return max(1, round(SAMPLE_SECONDS / seconds))


def warm_up(function: Callable[[Any], object], argument: Any, loops: int) -> None:
    """Bring code and data of a looped call back into the caches."""
    for _ in range(max(1, loops // WARM_UP_SHARE) if loops > 1 else 0):
        function(argument)


def time_calls(function: Callable[[Any], object], argument: Any, loops: int) -> float:
    """Seconds per call of ``function(argument)``, over ``loops`` calls.

    The loop adds to a call one step of ``repeat`` and the call instruction, about 0.02 µs, and to the whole sample one
    reading of the clock, 0.1 µs.
    """
    steps = repeat(None, loops)
    start = perf_counter_ns()
    for _ in steps:
        function(argument)
    return (perf_counter_ns() - start) * 1e-9 / loops


def estimate_seconds(function: Callable[[Any], object], argument: Any) -> float:
    """Rough seconds per call: the number of calls is doubled until they fill a fifth of a sample.

    One call before is not counted: the first with these very arguments may load or compile something. Raises
    RuntimeError where the clock stands still.
    """
    function(argument)
    for loops in (2**power for power in range(MAX_DOUBLINGS)):
        seconds = time_calls(function, argument, loops)
        if seconds * loops >= SAMPLE_SECONDS / 5:
            return seconds
    raise RuntimeError("the clock stands still")
