"""A verdict of the gate, with its reason in one line, and the signs of a noisy machine."""

from __future__ import annotations

__all__ = ["NOISY_OFFSET", "explain", "noise_notes"]

import math
from collections.abc import Mapping, Sequence

from pairbench import sequential_test
from pairbench.machine import Conditions, signs_of_load
from pairbench.sequential_test import Judgement, Verdict
from pairbench.wording import counted, in_percent

NOISY_OFFSET = 0.02
"""A/A offset above which the machine counts as noisy."""


def explain(
    judgement: Judgement, failures: Mapping[str, str], threshold: float, end_reason: str
) -> tuple[Verdict, str]:
    """The verdict on a row and its reason, which is empty for a plain PASS.

    ``failures``: reasons of failures, by side. ``end_reason``: why the measurement ended before a decision.
    """
    if "head" in failures and failures["head"] == failures.get("base"):
        return "INCONCLUSIVE", f"head and base fail alike: {failures['head']}"
    if "head" in failures:
        return "FAIL", f"the head fails: {failures['head']}"
    if failures:
        return "INCONCLUSIVE", f"the base fails: {next(iter(failures.values()))}"
    return judgement.verdict, _reason(judgement, threshold, end_reason)


def _reason(judgement: Judgement, threshold: float, end_reason: str) -> str:
    if judgement.checkouts_differ:
        return "two checkouts of the base differ significantly, so a change cannot be attributed to the head"
    if judgement.verdict == "FAIL":
        typical, most = (in_percent(change, 1) for change in (math.expm1(judgement.typical or 0.0), threshold))
        later = counted(judgement.confirming_rounds or 0, "later round")
        return f"significantly slower, typically by {typical}, which is more than {most}; confirmed in {later}"
    if judgement.verdict == "PASS" and judgement.confirming_rounds is not None:
        return "a suspected regression was not confirmed"
    if judgement.verdict == "PASS":
        change = judgement.change
        is_faster = change is not None and change.mean < -math.log1p(threshold) and change.high < 0
        return f"faster by more than {in_percent(threshold, 1)}" if is_faster else ""
    if judgement.confirming_rounds is not None:
        later = f"{sequential_test.MIN_ROUNDS} or more later rounds"
        return f"a regression is suspected; {end_reason} before {later} confirmed or refuted it"
    if judgement.rounds < sequential_test.PASS_ROUNDS:
        return f"{end_reason} after {judgement.rounds} of the {sequential_test.PASS_ROUNDS} rounds that a PASS needs"
    if judgement.slow is not None and judgement.slow.are_the_heads:
        return f"{end_reason}; some processes of the head are slow for their whole life"
    return f"{end_reason}; the interval contains {in_percent(threshold, 1)}, or the slowdown is not significant"


def noise_notes(aa_ratios: Sequence[float], conditions: Conditions, cpus: int) -> list[str]:
    """A note that lists the signs of noise; empty if there are none. ``aa_ratios``: control ÷ base of each row."""
    signs = []
    offsets = [abs(ratio - 1) for ratio in aa_ratios]
    if offsets and max(offsets) > NOISY_OFFSET:
        signs.append(f"base and control differ by up to {in_percent(max(offsets), 1)}")
    signs += signs_of_load([conditions], cpus)
    if conditions.throttled_seconds:
        share = conditions.throttled_seconds / conditions.wall_seconds
        signs.append(f"the CPU quota stopped it for {in_percent(share)} of the time")
    return [f"This machine is noisy: {'; '.join(signs)}."] if signs else []
