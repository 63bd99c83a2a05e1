"""Remarks on the circumstances of a document's times, which a reader must know to trust the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.schema import ConditionsRecord, SourceRecord
from pairbench.wording import in_percent


def remarks(
    machine: Mapping[str, Any], source: SourceRecord | None = None, conditions: Sequence[ConditionsRecord] = ()
) -> list[str]:
    """Sentences on a checkout that was not measured, on settings in the environment, and on a CPU quota."""
    found = []
    if source is not None and source.other_checkout is not None:
        found.append(
            f"Measured with the code in {source.folder}, not with that of the current checkout, "
            f"{source.other_checkout}; for that, use python -m bench there, or install it."
        )
    if settings := machine.get("environment"):
        listed = ", ".join(f"{name}={value}" for name, value in settings.items())
        found.append(f"Measured with these environment variables, which may change times: {listed}.")
    throttled = sum(reading.throttled_seconds or 0.0 for reading in conditions)
    if throttled:
        share = throttled / sum(reading.wall_seconds for reading in conditions)
        quota = f"The CPU quota of this container ({machine.get('cpu_quota'):g} CPUs)"
        found.append(
            f"{quota} stopped its processes for {in_percent(share)} of the time: the intervals may be too narrow."
        )
    return found
