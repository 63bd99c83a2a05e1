"""Detects calls that answer a repeated input from a cache, so that repeated inputs would not show their time."""

from __future__ import annotations

__all__ = ["require_no_cache"]

from random import Random

from pairbench import timer
from pairbench.workload import TimedCall, WorkloadError

SAMPLE_SECONDS, FEWEST_LOOPS, MOST_LOOPS = 0.0002, 2, 200
FEWEST_PAIRS, MOST_PAIRS = 4, 24
"""Number of pairs of samples, one with new and one with equal inputs. From the fewest on, the check ends when the
shortest times so far show no cache. If they show one after the most, it is reported."""
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
    new: list[float] = []
    equal: list[float] = []
    for pair in range(1, MOST_PAIRS + 1):
        _time_pair(call, loops, random, new, equal)
        factor = min(new) / min(equal)
        if pair >= FEWEST_PAIRS and factor < FACTOR:
            return
    raise WorkloadError(f"answers repeated inputs from a cache: new inputs take {factor:.1f} times as long")


def _time_pair(call: TimedCall, loops: int, random: Random, new: list[float], equal: list[float]) -> None:
    """Append the seconds of calls with new inputs, and of calls with equal inputs."""
    seed = random.getrandbits(63)
    samples = [(equal, [call.draw(seed, 1)[0] for _ in range(loops)]), (new, call.draw(seed + 1, loops))]
    call.function(*call.draw(seed, 1)[0])
    # In random order: if one kind always came second, the end of the process's time slice would often meet it.
    for seconds, arguments in random.sample(samples, 2):
        seconds.append(timer.time_calls(call.function, arguments)[0])
