"""Samples whose calls are judged: every call has new arguments, and the results of calls drawn at random are kept.

The code under test runs in the same process and could look for the plan of a sample. Neither the caller nor the time
before a call tells a judged call from the others. Its result is copied at once, before the next call, so that a call
cannot wait until it sees whether its result is kept.
"""

from __future__ import annotations

import pickle
from collections.abc import Container, Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np

from pairbench import timer
from pairbench.timer import Arguments
from pairbench.workload import POOL, JudgedSample, OtherObject, SamplePlan, TimedCall, WorkloadError

JUDGED_CALLS = 4
"""Number of calls of an arm that are judged in a process."""
STATE_READINGS = 2
"""Times that the state is read to learn how long that takes when no work is left."""
WARM_UP_SHARE = 10
"""Before a sample, 1/``WARM_UP_SHARE`` of its calls, at most ``POOL``, are made untimed, to reload caches that other
arms have used."""
MAX_STATEFUL_LOOPS = 100
"""Most calls in a sample of a call that changes a state, because the judge has to repeat all of them."""
TOO_SHORT = "a call takes no longer than an empty one, so it cannot be timed"
PLAIN_TYPES = (type(None), bool, int, float, complex, str, bytes)


class SampleTime(NamedTuple):
    """``seconds`` per call, without the loop itself, and ``total_seconds`` of the sample, with all bookkeeping."""

    seconds: float
    total_seconds: float


class PreparedSample:
    """A sample that is ready to be timed: its arguments are drawn and its code is warm."""

    def __init__(self, call: TimedCall, plan: SamplePlan):
        self._call, self._plan = call, plan
        self._arguments = plan.arguments(call.draw)
        self._segments = list(_split_after(self._arguments, plan.judged))
        if plan.loops > 1:
            count = min(POOL, max(1, plan.loops // WARM_UP_SHARE))
            *untimed, other = call.draw(plan.seed + 1, count + 1)
            for arguments in untimed:
                call.function(*arguments)
            poison(self._call_with_content_of(other))
        self._before = call.state()
        self._overhead = timer.time_empty_calls(self._arguments)
        self._originals: list[Any] = []
        self._copies: list[Any] = []

    def _call_with_content_of(self, other: Arguments) -> Any:
        """Call once with the objects of the first call, whose arrays hold the values of ``other`` meanwhile.

        The first call of the sample is wrong if it takes the same objects for the same content.
        """
        first = self._arguments[0]
        arrays = [array for array in first if isinstance(array, np.ndarray)]
        contents = [array.copy() for array in arrays]
        for array, content in zip(arrays, (array for array in other if isinstance(array, np.ndarray)), strict=True):
            array[...] = content
        try:
            return self._call.function(*first)
        finally:
            for array, content in zip(arrays, contents, strict=True):
                array[...] = content

    def time(self) -> SampleTime:
        """Time the calls, and making the state ready. Raises WorkloadError if they take no longer than empty calls."""
        start = timer.seconds_now()
        total = 0.0
        for segment, is_judged in self._segments:
            seconds, last = timer.time_calls(self._call.function, segment)
            total += seconds * len(segment)
            if is_judged:
                self._copies.append(as_plain_data(last))
                self._originals.append(last)
        if self._call.has_state:
            total += self._deferred_seconds()
        seconds = total / self._plan.loops
        if seconds <= self._overhead:
            raise WorkloadError(TOO_SHORT)
        return SampleTime(seconds - self._overhead, timer.seconds_now() - start)

    def _deferred_seconds(self) -> float:
        """Seconds of the work that the calls have left to the first reading of the state."""
        first, *others = (timer.time_calls(self._call.state, [()])[0] for _ in range(1 + STATE_READINGS))
        return max(0.0, first - min(others))

    def record(self) -> JudgedSample:
        """What the judge needs.

        Raises WorkloadError if a judged call has changed its arguments, or its result after it was returned.
        """
        after = self._call.state()
        if not all(map(_same_data, self._copies, map(as_plain_data, self._originals))):
            raise WorkloadError("changes a result after returning it")
        for position, seed in self._plan.judged.items():
            (drawn,) = self._call.draw(seed, 1)
            if not all(map(_equal, self._arguments[position], drawn)):
                raise WorkloadError("changes its inputs")
        return JudgedSample(self._plan, self._copies, self._before, after)


def choose_judged_calls(
    random: Random, seeds: Sequence[int], blocks: int, loops: int, has_state: bool
) -> list[dict[int, int]]:
    """For each of the blocks of an arm, the seeds of the judged calls by position.

    One is the first call of a block, whose argument objects are not new; see ``_call_with_content_of``. The others
    are drawn at random over all blocks. If the calls change a state, one block has all of them, because the judge needs
    the states before and after.
    """
    chosen: list[dict[int, int]] = [{} for _ in range(blocks)]
    first = random.randrange(blocks) * loops
    places = range(first, first + loops) if has_state else range(blocks * loops)
    others = random.sample(places, min(len(seeds), len(places)))
    for place, seed in zip(dict.fromkeys([first, *others]), seeds, strict=False):
        chosen[place // loops][place % loops] = seed
    return [dict(sorted(positions.items())) for positions in chosen]


def most_loops(call: TimedCall, loops: int) -> int:
    """The number of calls in a sample, limited if the calls change a state."""
    return min(loops, MAX_STATEFUL_LOOPS) if call.has_state else loops


def as_plain_data(result: Any) -> Any:
    """A copy of a result without objects of the code under test, which could run code where they are unpickled."""
    if isinstance(result, np.ndarray) and type(result) is np.ndarray and result.dtype.kind in "biufcSU":
        return result.copy()
    if type(result) in (list, tuple):
        return type(result)(map(as_plain_data, result))
    if type(result) in PLAIN_TYPES or (isinstance(result, np.generic) and type(result).__module__ == "numpy"):
        return result
    return OtherObject(type(result).__name__)


def poison(result: Any) -> None:
    """Fill memory like that of the result with NaN and free it, so that an array that is never written holds NaN."""
    for array in _arrays(result):
        if array.dtype.kind == "f":
            np.full(array.shape, np.nan, array.dtype)


def _arrays(result: Any) -> Iterator[np.ndarray[Any, Any]]:
    if isinstance(result, np.ndarray):
        yield result
    elif type(result) in (list, tuple):
        for part in result:
            yield from _arrays(part)


def _split_after(arguments: Sequence[Arguments], judged: Container[int]) -> Iterator[tuple[list[Arguments], bool]]:
    """The arguments in segments that end after the judged calls, and whether the last call of a segment is judged."""
    segment: list[Arguments] = []
    for position, call_arguments in enumerate(arguments):
        segment.append(call_arguments)
        if position in judged:
            yield segment, True
            segment = []
    if segment:
        yield segment, False


def _same_data(one: Any, other: Any) -> bool:
    """Whether two results of ``as_plain_data`` have the same bits."""
    return pickle.dumps(one) == pickle.dumps(other)


def _equal(one: Any, other: Any) -> bool:
    return bool(np.array_equal(one, other)) if isinstance(other, np.ndarray) else one is other or one == other
