"""The settings that a resumed run must share with the interrupted run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.checkpoint import source_digest
from bench.scale import points
from impls import Backend
from pairbench.worker_protocol import Effort


def scale_settings(backends: Sequence[Backend], effort: Effort, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object. Two runs with equal settings have comparable times. ``machine`` describes the machine."""
    return {
        "machine": machine,
        "sources": source_digest(backends),
        "backends": [backend.name for backend in backends],
        "effort": asdict(effort),
        "points": {dimension.name: list(dimension.values) for dimension in points.DIMENSIONS},
    }
