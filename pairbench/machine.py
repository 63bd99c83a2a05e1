"""The machine: what it is, and what else it did while something was measured."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = (
    *("mlpbench", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "psutil"),
    *("scikit-learn", "torch", "jax", "jaxlib", "onnxruntime"),
)
BUSY = ("user", "nice", "system", "irq", "softirq")
LIKE = ("cpu", "instruction_set", "python", "blas")
MEASURED_LIBRARIES = ("numpy", "numba")


@dataclass(frozen=True)
class Conditions:
    """What disturbed a process: None where the system does not say.

    ``steal_seconds`` is time that a hypervisor gave to others, over all CPUs; ``involuntary_switches`` counts how often
    the system took the CPU from this process. ``other_cpus`` are those that neither this process nor one that it
    started and saw end kept busy, on average.
    """

    wall_seconds: float
    steal_seconds: float | None
    load_average: float | None
    cpu_mhz: float | None
    involuntary_switches: int | None
    other_cpus: float | None


@dataclass(frozen=True)
class Meter:
    """Readings at the start of something, from which ``read`` makes the conditions since."""

    clock: float
    steal: float | None
    switches: int | None
    others: float

    @classmethod
    def start(cls) -> Meter:
        """Take the first readings."""
        return cls(time.monotonic(), _steal(), _involuntary_switches(), _seconds_of_others())

    def read(self) -> Conditions:
        """Conditions from the start until now."""
        wall = time.monotonic() - self.clock
        return Conditions(
            wall_seconds=wall,
            steal_seconds=_difference(_steal(), self.steal),
            load_average=_load_average(),
            cpu_mhz=_cpu_mhz(),
            involuntary_switches=_difference(_involuntary_switches(), self.switches),
            other_cpus=max(0.0, _seconds_of_others() - self.others) / wall if wall else None,
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


def bucket(description: Mapping[str, Any]) -> dict[str, Any]:
    """Of what ``describe`` gave, what two machines must share for their times to be compared."""
    libraries = {name: description["libraries"].get(name) for name in MEASURED_LIBRARIES}
    return {**{key: description[key] for key in LIKE}, **libraries}


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


def _seconds_of_others() -> float:
    """CPU time of all processes since the system started, less that of this one and those that it saw end."""
    total, own = psutil.cpu_times(), os.times()
    busy = sum(getattr(total, kind, 0.0) for kind in BUSY)
    return float(busy - own.user - own.system - own.children_user - own.children_system)


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
