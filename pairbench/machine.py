"""A description of the machine, and the load on the machine during a measurement."""

from __future__ import annotations

__all__ = [
    "Conditions",
    "Meter",
    "bucket",
    "cpus_usable",
    "describe",
    "library_version",
    "memory_available",
    "signs_of_load",
]

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol, TypeVar

import psutil

from pairbench import cgroup, environment

LIBRARIES = (
    *("mlpbench", "numpy", "scipy", "numba", "llvmlite", "threadpoolctl", "psutil"),
    *("scikit-learn", "torch", "jax", "jaxlib", "onnxruntime"),
)
CPU_INFO = Path("/proc/cpuinfo")
BUSY_KINDS = ("user", "nice", "system", "irq", "softirq")
BUCKET_KEYS = ("cpu", "instruction_set", "python", "blas")
NOISY_STEAL, NOISY_OTHERS = 0.02, 0.1
"""Shares of the CPU time, of other virtual machines and of other processes, above which a machine counts as noisy."""
MEASURED_LIBRARIES = ("numpy", "numba")
UNKNOWN = (psutil.Error, OSError, NotImplementedError, AttributeError, RuntimeError, ValueError)
"""What reading the state of the machine may raise where the system does not report it, such as without /proc."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Conditions:
    """Load on the machine during a measurement; a field is None where the system does not report the value.

    ``steal_seconds``: CPU time that the hypervisor gave to other virtual machines, summed over all CPUs.
    ``involuntary_switches``: number of times that the scheduler preempted this process. ``other_cpus``: average number
    of CPUs that were busy with processes other than this one and its terminated children. ``throttled_seconds``: time
    for which the CPU quota of a container stopped its processes, summed over CPUs.
    """

    wall_seconds: float
    steal_seconds: float | None
    load_average: float | None
    cpu_mhz: float | None
    involuntary_switches: int | None
    other_cpus: float | None
    throttled_seconds: float | None = None


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
    other_cpu_seconds: float | None
    throttled_seconds: float | None

    @classmethod
    def start(cls) -> Meter:
        """Take the readings at the start."""
        return cls(
            clock=time.monotonic(),
            steal_seconds=_steal_seconds(),
            switches=_involuntary_switches(),
            other_cpu_seconds=_reading(_other_cpu_seconds),
            throttled_seconds=_throttled_seconds(),
        )

    def read(self) -> Conditions:
        """The conditions from the start until now."""
        wall = time.monotonic() - self.clock
        other = _difference(_reading(_other_cpu_seconds), self.other_cpu_seconds)
        return Conditions(
            wall_seconds=wall,
            steal_seconds=_difference(_steal_seconds(), self.steal_seconds),
            load_average=_load_average(),
            cpu_mhz=_cpu_mhz(),
            involuntary_switches=_difference(_involuntary_switches(), self.switches),
            other_cpus=max(0.0, other) / wall if wall and other is not None else None,
            throttled_seconds=_difference(_throttled_seconds(), self.throttled_seconds),
        )


def signs_of_load(measurements: Sequence[Load], cpus: int) -> list[str]:
    """What others took of the time of ``cpus`` CPUs during the measurements; empty if it was little."""
    total = sum(load.wall_seconds for load in measurements) * cpus
    if not total:
        return []
    signs = []
    stolen = sum(load.steal_seconds or 0.0 for load in measurements) / total
    if stolen > NOISY_STEAL:
        signs.append(f"{100 * stolen:.1f} % of the CPU time was taken by other virtual machines")
    others = sum((load.other_cpus or 0.0) * load.wall_seconds for load in measurements) / total
    if others > NOISY_OTHERS:
        signs.append(f"other processes took {100 * others:.0f} % of the CPU time")
    return signs


def describe() -> dict[str, Any]:
    """The description of the machine in a result file: CPU, instruction set, system, Python, libraries, BLAS.

    ``environment`` has the variables that may change times; ``cpu_quota`` is that of a container, in CPUs.
    """
    import numpy as np

    build: dict[str, Any] = np.show_config(mode="dicts")  # type: ignore[assignment]
    blas = build.get("Build Dependencies", {}).get("blas", {})
    simd = build.get("SIMD Extensions", {})
    limit = cgroup.cpu_limit()
    return {
        "cpu": _cpu_model(),
        "architecture": platform.machine(),
        "instruction_set": [*simd.get("baseline", []), *simd.get("found", [])],
        "cpus": psutil.cpu_count(),
        "cpus_usable": cpus_usable(),
        "cpu_quota": None if limit is None else limit.quota,
        "memory_bytes": _reading(lambda: psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "libraries": {name: version for name in LIBRARIES if (version := library_version(name))},
        "blas": " ".join(str(blas[key]) for key in ("name", "version") if key in blas) or None,
        "environment": environment.settings(),
    }


def bucket(description: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the result of ``describe`` that must be equal on two machines for their times to be comparable."""
    libraries = {name: description["libraries"].get(name) for name in MEASURED_LIBRARIES}
    settings = description.get("environment")
    # Without settings the bucket has no entry for them, as in baselines of earlier versions.
    return {
        **{key: description[key] for key in BUCKET_KEYS},
        **libraries,
        **({"environment": settings} if settings else {}),
    }


def cpus_usable() -> int:
    """Number of CPUs that this process may use: those of its affinity, and whole ones of a container's quota."""
    count = len(affinity()) or psutil.cpu_count() or 1
    limit = cgroup.cpu_limit()
    return count if limit is None else max(1, min(count, int(limit.quota)))


def affinity() -> list[int]:
    """The CPUs to which this process is bound; empty where the system does not report them."""
    return _reading(lambda: psutil.Process().cpu_affinity()) or []


def memory_available() -> int:
    """Bytes of memory that new arrays may take; one GiB where the system does not report it."""
    return _reading(lambda: int(psutil.virtual_memory().available)) or 1 << 30


def library_version(distribution: str) -> str | None:
    """Version of a distribution, None if the distribution is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    """Name of the processor, as its maker calls it where the system tells."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (models[0] if models else _cpu_model_of_macos()) or platform.processor() or platform.machine()


def _cpu_model_of_macos() -> str:
    """Name of the processor on macOS, where ``platform.processor`` is the same for all of Apple's; empty elsewhere."""
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _steal_seconds() -> float | None:
    return _reading(lambda: float(psutil.cpu_times().steal))


def _throttled_seconds() -> float | None:
    limit = cgroup.cpu_limit()
    return None if limit is None else limit.throttled_seconds


def _other_cpu_seconds() -> float:
    """CPU seconds since boot of all processes other than this one and its terminated children."""
    total, own = psutil.cpu_times(), os.times()
    busy = sum(getattr(total, kind, 0.0) for kind in BUSY_KINDS)
    return float(busy - own.user - own.system - own.children_user - own.children_system)


def _involuntary_switches() -> int | None:
    return _reading(lambda: int(psutil.Process().num_ctx_switches().involuntary))


def _load_average() -> float | None:
    return _reading(lambda: os.getloadavg()[0])


def _cpu_mhz() -> float | None:
    return _reading(lambda: float(psutil.cpu_freq().current))


def _reading(read: Callable[[], Value]) -> Value | None:
    """The value that ``read`` returns, None where the system does not report it."""
    try:
        return read()
    except UNKNOWN:
        return None


def _difference(after: Any, before: Any) -> Any:
    return None if after is None or before is None else after - before
