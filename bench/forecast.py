"""Predicts how long a run takes, before it begins: what takes long are the interpreted loops on large batches."""

from __future__ import annotations

from collections.abc import Sequence

from bench.arms import Arm
from pairbench.duration import arm_seconds, in_words, process_seconds
from pairbench.measure import AA_CONTROL, Measurement, chosen_arms
from pairbench.wording import in_percent
from pairbench.worker_protocol import Effort

WEIGHT_SECONDS = {"python_loops": 60e-9, "python_loops_ndarray": 270e-9}
"""Rough seconds for a weight at a sample in a forward pass. The calls of other backends do not count beside these."""
PASSES = 3
"""Forward passes that take as long as a gradient."""
EXACT_SECONDS = 1.0
"""Rough seconds for the exact results of a case."""
COMPILE_SECONDS = 20.0
"""Rough seconds for the compile times of a backend, with an empty cache and with a filled one."""
LARGE_SHARE = 0.4
"""Share of the predicted time from which on a run says that the reference takes it."""


def call_seconds(arm: Arm) -> float:
    """Rough seconds of a call."""
    case = arm.case
    passes = 1 if case.operation == "forward" else PASSES * case.epochs
    weights = sum(n_in * n_out for n_in, n_out in case.network.shapes)
    return WEIGHT_SECONDS.get(arm.backend, 0.0) * weights * case.batch * passes


def forecast(groups: Sequence[tuple[Arm, ...]], effort: Effort, compiling: int) -> str:
    """How long a run takes, and how much of that its reference takes if it is much. ``compiling``: compile times."""
    seconds = {arm: call_seconds(arm) for group in groups for arm in group}
    measurement, total, reference = Measurement(groups, seconds=seconds), 0.0, 0.0
    for number in range(effort.processes):
        chosen = [chosen_arms(group, measurement, effort, number) for group in groups]
        total += process_seconds(chosen, seconds, effort, number)
        for group in chosen:
            reference += sum(
                arm_seconds(seconds[arm], effort, number) for arm in group if arm is group[0] or arm.name == AA_CONTROL
            )
    total += EXACT_SECONDS * len(groups) + COMPILE_SECONDS * compiling
    text = f"this takes about {in_words(total)} on an idle machine"
    if reference < LARGE_SHARE * total:
        return text
    slowest = max((group[0] for group in groups), key=lambda arm: seconds[arm])
    return (
        f"{text}, {in_percent(reference / total)} of it for the reference, {slowest.backend}, which takes "
        f"{seconds[slowest]:.1g} s for {slowest.case}; a smaller network or batch takes less"
    )
