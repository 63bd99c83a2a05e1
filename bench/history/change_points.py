"""The points at which a series changed, by the test of the stored baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from statistics import fmean
from typing import NamedTuple

from pairbench.sequential_test import CONFIRMATION_ALPHA, FAIL_ALPHA
from pairbench.session_test import MIN_SESSIONS, judge_session


class ChangePoint(NamedTuple):
    """The position of the first value after a change, and the mean after it minus the mean before it."""

    position: int
    change: float


def change_points(values: Sequence[float], threshold: float) -> list[ChangePoint]:
    """The change points of a series of logarithms of speeds; ``threshold`` is a share.

    A value that the test rejects as a session after all values since the last change, in either direction, is a
    change point if the test also rejects the next value, in the same direction, and if the means before and after it
    differ by more than the threshold. Fewer than MIN_SESSIONS values are no history, so two changes are at least as far
    apart.
    """
    starts, index, sums, least = [0], MIN_SESSIONS, [0.0, *accumulate(values)], math.log1p(threshold)
    while index + 1 < len(values):
        start = starts[-1]
        mean = (sums[index] - sums[start]) / (index - start)
        # The test rejects no smaller change, and takes long for a long history.
        if min(abs(values[index] - mean), abs(values[index + 1] - mean)) > least and _is_change(
            values[start:index], values[index], values[index + 1], threshold
        ):
            starts.append(index)
            index += MIN_SESSIONS
        else:
            index += 1
    return _lasting(values, starts[1:], least)


def _lasting(values: Sequence[float], starts: Sequence[int], least: float) -> list[ChangePoint]:
    """The change points across which the mean changes by more than ``least``: two outliers in a row are none."""
    bounds = pairwise([0, *starts, len(values)])
    points = [
        ChangePoint(start, fmean(values[start:end]) - fmean(values[before:start]))
        for (before, start), (_, end) in pairwise(bounds)
    ]
    kept = [point.position for point in points if abs(point.change) > least]
    return points if len(kept) == len(points) else _lasting(values, kept, least)


def _is_change(history: Sequence[float], now: float, following: float, threshold: float) -> bool:
    direction = _direction(history, now, threshold, FAIL_ALPHA)
    return direction != 0 and direction == _direction(history, following, threshold, CONFIRMATION_ALPHA)


def _direction(history: Sequence[float], now: float, threshold: float, alpha: float) -> int:
    """-1 if the value is a regression after the history, 1 if it is a gain, else 0."""
    if judge_session(history, now, threshold, alpha).verdict == "FAIL":
        return -1
    mirrored = [-value for value in history]
    return int(judge_session(mirrored, -now, threshold, alpha).verdict == "FAIL")
