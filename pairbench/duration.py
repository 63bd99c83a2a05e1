"""Predicts how long a measurement takes, from rough seconds per call. Pure functions."""

from __future__ import annotations

__all__ = ["arm_seconds", "in_words", "process_seconds"]

from collections.abc import Mapping, Sequence

from pairbench.judged_samples import WARM_UP_SHARE
from pairbench.timer import SAMPLE_SECONDS
from pairbench.worker_protocol import ArmT, Effort

PROCESS_SECONDS = 3.0
"""Rough seconds until a worker process has started, and has imported the libraries."""
ARM_SECONDS = 0.03
"""Rough seconds for an arm in a process, in addition to its calls."""
CHECK_CALLS = 3
"""Calls that verifying an arm takes, before and after its timing."""


def arm_seconds(call: float, effort: Effort, number: int) -> float:
    """Seconds that process ``number``, counted from 0, spends on an arm whose call takes ``call`` seconds."""
    slow = call > effort.slow_call_seconds
    blocks = max(1, min(effort.max_blocks, int(effort.seconds_per_arm / max(call, SAMPLE_SECONDS))))
    timed = call if call > SAMPLE_SECONDS else SAMPLE_SECONDS * (1 + 1 / WARM_UP_SHARE)
    checks = 0 if slow and number > 0 else CHECK_CALLS  # slow arms are verified in the first process only
    return ARM_SECONDS + blocks * timed + checks * call


def process_seconds(
    groups: Sequence[tuple[ArmT, ...]], seconds: Mapping[ArmT, float], effort: Effort, number: int
) -> float:
    """Seconds that process ``number`` takes for these groups, 0 without arms; an arm without ``seconds`` is quick."""
    times = [arm_seconds(seconds.get(arm, 0.0), effort, number) for group in groups for arm in group]
    return PROCESS_SECONDS + sum(times) if times else 0.0


def in_words(seconds: float) -> str:
    """A rough duration: seconds up to a minute and a half, then minutes."""
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
