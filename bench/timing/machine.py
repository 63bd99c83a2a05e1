"""The machine: what it is, and what else it did while something was measured."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = (
    *("mlpbench", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "psutil"),
    *("scikit-learn", "torch", "jax", "jaxlib", "onnxruntime"),
)


@dataclass(frozen=True)
class Conditions:
    """What disturbed a process: None where the system does not say.

    ``steal_seconds`` is time that a hypervisor gave to others, over all CPUs; ``involuntary_switches`` counts how often
    the system took the CPU from this process.
    """

    wall_seconds: float
    steal_seconds: float | None
    load_average: float | None
    cpu_mhz: float | None
    involuntary_switches: int | None


@dataclass(frozen=True)
class Meter:
    """Readings at the start of something, from which ``read`` makes the conditions since."""

    clock: float
    steal: float | None
    switches: int | None

    @classmethod
    def start(cls) -> Meter:
        """Take the first readings."""
        return cls(time.monotonic(), _steal(), _involuntary_switches())

    def read(self) -> Conditions:
        """Conditions from the start until now."""
        return Conditions(
            wall_seconds=time.monotonic() - self.clock,
            steal_seconds=_difference(_steal(), self.steal),
            load_average=_load_average(),
            cpu_mhz=_cpu_mhz(),
            involuntary_switches=_difference(_involuntary_switches(), self.switches),
        )


def describe() -> dict[str, Any]:
    """The machine as it goes into a result: CPU, instruction set, system, Python, libraries, BLAS."""
    import numpy as np

    build: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = build.get("Build Dependencies", {}).get("blas", {})
    simd = build.get("SIMD Extensions", {})
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "instruction_set": [*simd.get("baseline", []), *simd.get("found", [])],
        "cpus": psutil.cpu_count(),
        "cpus_usable": cpus_usable(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "libraries": {name: version for name in LIBRARIES if (version := library_version(name))},
        "blas": " ".join(str(blas[key]) for key in ("name", "version") if key in blas) or None,
    }


def cpus_usable() -> int:
    """CPUs that this process may use; all that there are, where the system does not say."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count() or 1


def library_version(distribution: str) -> str | None:
    """Version of an installed distribution, None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _steal() -> float | None:
    return getattr(psutil.cpu_times(), "steal", None)


def _involuntary_switches() -> int | None:
    try:
        return int(psutil.Process().num_ctx_switches().involuntary)
    except (psutil.Error, NotImplementedError, AttributeError):
        return None


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def _cpu_mhz() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, AttributeError):
        return None
    return float(frequency.current) if frequency else None


def _difference(after: Any, before: Any) -> Any:
    return None if after is None or before is None else after - before
