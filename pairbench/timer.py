"""Takes a sample: times a number of calls in a row between two clock readings."""

from __future__ import annotations

__all__ = ["Arguments", "estimate_seconds", "loops_per_sample", "time_calls"]

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, compress, repeat, starmap
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any

Arguments = tuple[Any, ...]

SAMPLE_SECONDS = 0.001
"""Target length of a sample; a call that takes longer is a sample of its own.

Longer samples are more often interrupted by other processes: after waiting for the CPU, a process runs undisturbed for
only a few milliseconds. With two busy processes on the machine, and equal total time, samples of 10, 2 and 1 ms gave
ratios with standard deviations over rounds of 9, 3.5 and 2.4 %.
"""
LONGEST_PAUSE = 0.02
"""Seconds for which a busy system lets a process wait for the CPU, at most as a rule."""
MAX_DOUBLINGS = 20
EMPTY_CALLS, EMPTY_SAMPLES = 200, 3
"""Calls in a sample of empty calls, and samples of which the shortest counts."""
EMPTY_FUNCTIONS: Mapping[int, Callable[..., object]] = MappingProxyType({1: callable, 2: operator.is_})
"""Functions in C that do next to nothing, by number of arguments."""


def loops_per_sample(seconds: float) -> int:
    """Number of calls in a sample, at least one; ``seconds`` is the time per call."""
    return max(1, round(SAMPLE_SECONDS / seconds))


def time_calls(
    function: Callable[..., object], arguments: Sequence[Arguments], clock: Callable[[], int] = perf_counter_ns
) -> tuple[float, Any]:
    """Seconds per call of ``function(*arguments[0])``, ``function(*arguments[1])``, …, and the result of the last call.

    The iterators make all calls from the same place, so that the last call differs in nothing from the others. The
    clock is bound when this module is imported, before the code under test.
    """
    kept = chain(repeat(False, len(arguments) - 1), (True,))
    calls: Iterator[Any] = compress(starmap(function, arguments), kept)
    start = clock()
    (last,) = calls
    return (clock() - start) * 1e-9 / len(arguments), last


def seconds_now(clock: Callable[[], int] = perf_counter_ns) -> float:
    """Seconds by the clock that times calls, from an arbitrary start."""
    return clock() * 1e-9


def time_empty_calls(arguments: Sequence[Arguments]) -> float:
    """Seconds per call that the loop itself takes, measured with a function that does nothing.

    ``arguments`` are those of the calls under test, because fetching them is part of the loop.
    """
    function = EMPTY_FUNCTIONS.get(len(arguments[0]), "".format)
    repeated = (list(arguments) * (EMPTY_CALLS // len(arguments) + 1))[:EMPTY_CALLS]
    return min(time_calls(function, repeated)[0] for _ in range(EMPTY_SAMPLES))


def time_bare_loop(arguments: Sequence[Arguments], clock: Callable[[], int] = perf_counter_ns) -> float:
    """Seconds per round of the loop of ``time_calls`` without any call."""
    kept = chain(repeat(False, len(arguments) - 1), (True,))
    rounds: Iterator[Arguments] = compress(arguments, kept)
    start = clock()
    (_,) = rounds
    return (clock() - start) * 1e-9 / len(arguments)


def estimate_seconds(function: Callable[..., object], draw: Callable[[int], Sequence[Arguments]]) -> float:
    """Rough seconds per call: the number of calls is doubled until they take a fifth of a sample.

    If they take less than ``LONGEST_PAUSE``, they are timed again, and the shorter time counts, because the system may
    have interrupted the process. ``draw`` gives the arguments of a number of calls. An untimed call comes first,
    because the first call may load or compile code. Raises RuntimeError if the clock does not advance.
    """
    function(*draw(1)[0])
    for loops in (2**power for power in range(MAX_DOUBLINGS)):
        seconds, _ = time_calls(function, draw(loops))
        if SAMPLE_SECONDS / 5 <= seconds * loops < LONGEST_PAUSE:
            seconds = min(seconds, time_calls(function, draw(loops))[0])
        if seconds * loops >= SAMPLE_SECONDS / 5:
            return seconds
    raise RuntimeError("the clock does not advance")
