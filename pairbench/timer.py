"""Takes a sample: times a number of calls in a row between two clock readings."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from time import perf_counter_ns
from typing import Any

SAMPLE_SECONDS = 0.001
"""Target length of a sample; a call that takes longer is a sample of its own.

Longer samples are more often interrupted by other processes: after waiting for the CPU, a process runs undisturbed for
only a few milliseconds. With two busy processes on the machine, and equal total time, samples of 10, 2 and 1 ms gave
ratios with standard deviations over rounds of 9, 3.5 and 2.4 %.
"""
WARM_UP_SHARE = 10
"""Before a sample, 1/``WARM_UP_SHARE`` of its calls are made untimed, to reload caches that other arms have used."""
MAX_DOUBLINGS = 20


def loops_per_sample(seconds: float) -> int:
    """Number of calls in a sample, at least one; ``seconds`` is the time per call."""
    return max(1, round(SAMPLE_SECONDS / seconds))


def warm_up(function: Callable[[Any], object], argument: Any, loops: int) -> None:
    """Make the untimed calls before a sample of ``loops`` calls; none before a sample of one call."""
    for _ in range(max(1, loops // WARM_UP_SHARE) if loops > 1 else 0):
        function(argument)


def time_calls(function: Callable[[Any], object], argument: Any, loops: int) -> float:
    """Seconds per call of ``function(argument)``, over ``loops`` calls.

    The result includes the overhead of the loop, about 0.02 µs per call, and of a clock reading, 0.1 µs per sample.
    """
    steps = repeat(None, loops)
    start = perf_counter_ns()
    for _ in steps:
        function(argument)
    return (perf_counter_ns() - start) * 1e-9 / loops


def estimate_seconds(function: Callable[[Any], object], argument: Any) -> float:
    """Rough seconds per call: the number of calls is doubled until they take a fifth of a sample.

    An untimed call comes first, because the first call may load or compile code. Raises RuntimeError if the clock does
    not advance.
    """
    function(argument)
    for loops in (2**power for power in range(MAX_DOUBLINGS)):
        seconds = time_calls(function, argument, loops)
        if seconds * loops >= SAMPLE_SECONDS / 5:
            return seconds
    raise RuntimeError("the clock does not advance")
