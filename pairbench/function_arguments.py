"""Arguments of the calls: fresh ones, copies, changed ones, and whether a call has changed its own."""

from __future__ import annotations

import copy
import hashlib
import pickle
import time
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from pairbench import cache_check, timer
from pairbench.error_text import describe_error
from pairbench.functions import CompareError, Function, FunctionSet
from pairbench.timer import Arguments
from pairbench.visible_text import one_line
from pairbench.workload import TimedCall, WorkloadError

CLEARLY_TIMED = 1e-5
"""A single call that takes longer than this many seconds is timed well enough to compare it with another one."""
DRAWING_FACTOR = 10
"""Drawing the arguments of a sample takes at most this many times as long as the sample."""


class ArgumentSource:
    """Gives the arguments of calls."""

    def __init__(self, functions: FunctionSet):
        self._args, self._setup = functions.args, functions.setup
        self.draw_seconds = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether every call has new arguments."""
        return self._setup is not None

    def draw(self, count: int) -> list[Arguments]:
        """The arguments of a number of calls. Raises CompareError if ``setup`` fails or returns no tuple."""
        if self._setup is None:
            return [self._args] * count
        start = time.perf_counter()
        try:
            drawn = [self._setup() for _ in range(count)]
        except Exception as error:
            raise CompareError(f"setup raises {describe_error(error)}") from error
        self.draw_seconds = (time.perf_counter() - start) / count
        for arguments in drawn:
            if type(arguments) is not tuple:
                raise CompareError(
                    f"setup must return a tuple of arguments, not {type(arguments).__name__}; write return (value,)"
                )
        return drawn

    def most_loops(self, seconds: float) -> int:
        """Calls in a sample, each of which takes ``seconds``, limited by the time that drawing their arguments takes.

        A garbage collection or another delay may lengthen a single draw, so the draws of the last sample count.
        """
        loops = timer.loops_per_sample(seconds)
        if self._setup is None:
            return loops
        return max(1, min(loops, int(DRAWING_FACTOR * timer.SAMPLE_SECONDS / max(self.draw_seconds, 1e-9))))


def duplicate(arguments: Arguments | None) -> Arguments | None:
    """A deep copy; None for None, or if the arguments cannot be copied, such as an open file."""
    try:
        return copy.deepcopy(arguments)
    except Exception:
        return None


def digest(value: Any) -> bytes | None:
    """A digest of the content; None if it cannot be taken, because an object cannot be pickled."""
    try:
        return hashlib.blake2b(pickle.dumps(value, 5)).digest()
    except Exception:
        return None


def with_other_content(value: Any, random: Random) -> Any:
    """A copy in which the first number of type float, or an element of the first float array, is slightly different.

    None if there is no such number: to change an integer or a text may change what a function does.
    """
    if type(value) is float:
        return value * (1 + random.random() * 1e-9) + random.random() * 1e-300
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size:
        changed = value.copy(order="K")
        element = np.unravel_index(random.randrange(value.size), value.shape)
        changed[element] += random.randrange(1, 1000) * np.spacing(changed[element])
        return changed
    if type(value) in (list, tuple):
        parts = list(value)
        for place, part in enumerate(parts):
            if (changed := with_other_content(part, random)) is not None:
                parts[place] = changed
                return type(value)(parts)
    return None


def require_no_cache(function: Function, source: ArgumentSource, random: Random) -> None:
    """Raise WorkloadError if a function answers a repeated input from a cache, so that repeated calls tell nothing.

    Fresh arguments with a content of their own need no check: the cache does not know them either.
    """
    info = getattr(function, "cache_info", None)
    (first,), (second,) = source.draw(1), source.draw(1)
    if source.is_fresh and digest(first) != digest(second):
        return
    if info is not None and hasattr(before := info(), "hits"):
        for arguments in source.draw(2):
            function(*arguments)
        if info().hits > before.hits:
            raise WorkloadError("answers repeated inputs from a cache; give setup=, which returns new inputs")
    if duplicate(with_other_content(first, random)) is None:
        return

    def draw(seed: int, count: int) -> list[Arguments]:
        changed = [duplicate(with_other_content(first, Random(seed + number))) for number in range(count)]
        return [arguments for arguments in changed if arguments is not None]

    new = min(_single_call(function, draw(random.getrandbits(60), 1)[0]) for _ in range(3))
    seed = random.getrandbits(60)
    equal = min(_single_call(function, draw(seed, 1)[0]) for _ in range(3))
    if new > CLEARLY_TIMED and new < cache_check.FACTOR * equal:
        return
    try:
        if new > cache_check.SLOWEST_SECONDS:
            raise WorkloadError(
                f"answers repeated inputs from a cache: new inputs take {new / equal:.0f} times as long"
            )
        cache_check.require_no_cache(TimedCall(function, draw), new, random)
    except WorkloadError as error:
        raise WorkloadError(f"{one_line(str(error))}; give setup=, which returns new inputs") from None


def _single_call(function: Callable[..., object], arguments: Arguments) -> float:
    return timer.time_calls(function, [arguments])[0]
