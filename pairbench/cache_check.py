"""Detects calls that answer a repeated input from a cache, so that repeated inputs would not show their time."""

from __future__ import annotations

from random import Random

from pairbench import timer
from pairbench.workload import TimedCall, WorkloadError

SAMPLE_SECONDS, FEWEST_LOOPS, MOST_LOOPS = 0.0002, 2, 200
PAIRS = 12
"""Number of pairs of samples, new and repeated inputs, that must all show the cache."""
FACTOR = 2.0
"""How much longer a call with a new input must take. Cached memory and predicted branches make far less difference."""
SLOWEST_SECONDS = 0.05
"""Calls that take longer are not checked, because the check makes a dozen calls or more."""


def check(call: TimedCall, random: Random) -> None:
    """Estimate the time of a call, and raise WorkloadError as ``require_no_cache`` does."""
    if call.has_state:
        return
    seconds = call.estimate_seconds(random)
    if seconds <= SLOWEST_SECONDS:
        require_no_cache(call, seconds, random)


def require_no_cache(call: TimedCall, seconds: float, random: Random) -> None:
    """Raise WorkloadError if calls with new inputs take ``FACTOR`` times as long as calls with equal inputs.

    The equal inputs are different objects with the same content. ``seconds``: rough time of a call. Calls that change a
    state are not compared, because equal inputs have different results.
    """
    if call.has_state:
        return
    loops = min(MOST_LOOPS, max(FEWEST_LOOPS, round(SAMPLE_SECONDS / seconds)))
    factors = [_factor(call, loops, random)]
    while factors[-1] >= FACTOR and len(factors) < PAIRS:
        factors.append(_factor(call, loops, random))
    if min(factors) >= FACTOR:
        raise WorkloadError(f"answers repeated inputs from a cache: new inputs take {min(factors):.1f} times as long")


def _factor(call: TimedCall, loops: int, random: Random) -> float:
    """Time of calls with new inputs ÷ time of calls with equal inputs; the shorter of two samples counts."""
    new: list[float] = []
    equal: list[float] = []
    for _ in range(2):
        seed = random.getrandbits(63)
        samples = [(equal, [call.draw(seed, 1)[0] for _ in range(loops)]), (new, call.draw(seed + 1, loops))]
        call.function(*call.draw(seed, 1)[0])
        # In random order: if one kind always came second, the end of the process's time slice would often meet it.
        for seconds, arguments in random.sample(samples, 2):
            seconds.append(timer.time_calls(call.function, arguments)[0])
    return min(new) / min(equal)
