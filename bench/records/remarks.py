"""Remarks on the circumstances of a document's times, which a reader must know to trust the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.schema import ConditionsRecord


def remarks(machine: Mapping[str, Any], conditions: Sequence[ConditionsRecord] = ()) -> list[str]:
    """A sentence on the settings in the environment, and one on a CPU quota that stopped the measured processes."""
    found = []
    if settings := machine.get("environment"):
        listed = ", ".join(f"{name}={value}" for name, value in settings.items())
        found.append(f"Measured with these environment variables, which may change times: {listed}.")
    throttled = sum(reading.throttled_seconds or 0.0 for reading in conditions)
    if throttled:
        share = throttled / sum(reading.wall_seconds for reading in conditions)
        quota = f"The CPU quota of this container ({machine.get('cpu_quota'):g} CPUs)"
        found.append(f"{quota} stopped its processes for {share:.0%} of the time: the intervals may be too narrow.")
    return found
