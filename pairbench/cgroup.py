"""The CPU quota of a control group (Linux), such as a container's, and for how long it has stopped its processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class CpuLimit:
    """The quota in CPUs, and the seconds for which the processes were stopped so far; None where it is unknown."""

    quota: float
    throttled_seconds: float | None


def cpu_limit() -> CpuLimit | None:
    """The smallest CPU quota of this process's control group and of those around it; None if there is no quota."""
    limits = [limit for folder in _folders() if (limit := _limit(folder)) is not None]
    return min(limits, key=lambda limit: limit.quota, default=None)


def _folders() -> Iterator[Path]:
    """The folders of the control groups, this process's first. In a container, the mount may be the group itself."""
    for line in _text(MEMBERSHIP).splitlines():
        number, controllers, group = [*line.split(":", 2), "", ""][:3]
        if number == "0":
            tops = [MOUNT, MOUNT / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [MOUNT / controllers, MOUNT / "cpu"]
        else:
            continue
        for top in dict.fromkeys(top for top in tops if top.is_dir()):
            inner = top / group.strip("/")
            yield from (folder for folder in (inner, *inner.parents) if folder.is_relative_to(top))


def _limit(folder: Path) -> CpuLimit | None:
    """The limit that a folder's files state: those of version 2 (microseconds), or of version 1 (nanoseconds)."""
    words = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    try:
        quota, period = map(int, words)
        fields = dict(line.split() for line in _text(folder / "cpu.stat").splitlines())
        scales = {"throttled_usec": 1e-6, "throttled_time": 1e-9}
        seconds = [int(fields[name]) * scale for name, scale in scales.items() if name in fields]
    except ValueError:  # "max", or no such files
        return None
    return CpuLimit(quota / period, seconds[0] if seconds else None) if quota > 0 < period else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
