"""Detects calls that answer a repeated input from a cache, so that repeated inputs would not show their time."""

from __future__ import annotations

from random import Random

from pairbench import timer
from pairbench.workload import TimedCall, WorkloadError

SAMPLE_SECONDS, FEWEST_LOOPS, MOST_LOOPS = 0.0002, 2, 200
PAIRS = 5
"""Number of pairs of samples, new and repeated inputs, that must all show the cache."""
FACTOR = 2.0
"""How much longer a call with a new input must take. Cached memory and predicted branches make far less difference."""


def require_no_cache(call: TimedCall, seconds: float, random: Random) -> None:
    """Raise WorkloadError if calls with new inputs take ``FACTOR`` times as long as calls with equal inputs.

    The equal inputs are different objects with the same content. ``seconds``: rough time of a call. Calls that change a
    state are not compared, because equal inputs have different results.
    """
    if call.has_state:
        return
    loops = min(MOST_LOOPS, max(FEWEST_LOOPS, round(SAMPLE_SECONDS / seconds)))
    factors: list[float] = []
    while len(factors) < PAIRS:
        seed = random.getrandbits(63)
        new, equal = call.draw(seed, loops), [call.draw(seed, 1)[0] for _ in range(loops)]
        call.function(*equal[0])
        repeated, _ = timer.time_calls(call.function, equal)
        fresh, _ = timer.time_calls(call.function, new)
        factors.append(fresh / repeated)
        if factors[-1] < FACTOR:
            return
    raise WorkloadError(f"answers repeated inputs from a cache: new inputs take {min(factors):.1f} times as long")
