"""A description of the machine, and the load on the machine during a measurement."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import psutil

LIBRARIES = (
    *("mlpbench", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "psutil"),
    *("scikit-learn", "torch", "jax", "jaxlib", "onnxruntime"),
)
BUSY_KINDS = ("user", "nice", "system", "irq", "softirq")
BUCKET_KEYS = ("cpu", "instruction_set", "python", "blas")
NOISY_STEAL, NOISY_OTHERS = 0.02, 0.1
"""Shares of the CPU time, of other virtual machines and of other processes, above which a machine counts as noisy."""
MEASURED_LIBRARIES = ("numpy", "numba")


@dataclass(frozen=True)
class Conditions:
    """Load on the machine during a measurement; a field is None where the system does not report the value.

    ``steal_seconds``: CPU time that the hypervisor gave to other virtual machines, summed over all CPUs.
    ``involuntary_switches``: number of times that the scheduler preempted this process. ``other_cpus``: average number
    of CPUs that were busy with processes other than this one and its terminated children.
    """

    wall_seconds: float
    steal_seconds: float | None
    load_average: float | None
    cpu_mhz: float | None
    involuntary_switches: int | None
    other_cpus: float | None


class Load(Protocol):
    """The fields of ``Conditions`` that show whether others disturbed a measurement."""

    @property
    def wall_seconds(self) -> float:
        """Duration of the measurement."""

    @property
    def steal_seconds(self) -> float | None:
        """CPU time of other virtual machines."""

    @property
    def other_cpus(self) -> float | None:
        """Average number of CPUs that were busy with other processes."""


@dataclass(frozen=True)
class Meter:
    """Readings of the system's counters at the start of a measurement; ``read`` gives the conditions since then."""

    clock: float
    steal_seconds: float | None
    switches: int | None
    other_cpu_seconds: float

    @classmethod
    def start(cls) -> Meter:
        """Take the readings at the start."""
        return cls(time.monotonic(), _steal_seconds(), _involuntary_switches(), _other_cpu_seconds())

    def read(self) -> Conditions:
        """The conditions from the start until now."""
        wall = time.monotonic() - self.clock
        return Conditions(
            wall_seconds=wall,
            steal_seconds=_difference(_steal_seconds(), self.steal_seconds),
            load_average=_load_average(),
            cpu_mhz=_cpu_mhz(),
            involuntary_switches=_difference(_involuntary_switches(), self.switches),
            other_cpus=max(0.0, _other_cpu_seconds() - self.other_cpu_seconds) / wall if wall else None,
        )


def signs_of_load(measurements: Sequence[Load], cpus: int) -> list[str]:
    """What others took of the time of ``cpus`` CPUs during the measurements; empty if it was little."""
    total = sum(load.wall_seconds for load in measurements) * cpus
    if not total:
        return []
    signs = []
    stolen = sum(load.steal_seconds or 0.0 for load in measurements) / total
    if stolen > NOISY_STEAL:
        signs.append(f"{stolen:.1%} of the CPU time was taken by other virtual machines")
    others = sum((load.other_cpus or 0.0) * load.wall_seconds for load in measurements) / total
    if others > NOISY_OTHERS:
        signs.append(f"other processes took {others:.0%} of the CPU time")
    return signs


def describe() -> dict[str, Any]:
    """The description of the machine in a result file: CPU, instruction set, system, Python, libraries, BLAS."""
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
    """The part of the result of ``describe`` that must be equal on two machines for their times to be comparable."""
    libraries = {name: description["libraries"].get(name) for name in MEASURED_LIBRARIES}
    return {**{key: description[key] for key in BUCKET_KEYS}, **libraries}


def cpus_usable() -> int:
    """Number of CPUs that this process may use; the number of all CPUs where the system reports no CPU affinity."""
    if hasattr(psutil.Process, "cpu_affinity"):
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count() or 1


def library_version(distribution: str) -> str | None:
    """Version of a distribution, None if the distribution is not installed."""
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


def _steal_seconds() -> float | None:
    return getattr(psutil.cpu_times(), "steal", None)


def _other_cpu_seconds() -> float:
    """CPU seconds since boot of all processes other than this one and its terminated children."""
    total, own = psutil.cpu_times(), os.times()
    busy = sum(getattr(total, kind, 0.0) for kind in BUSY_KINDS)
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
