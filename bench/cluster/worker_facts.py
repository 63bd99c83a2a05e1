"""What must be known of a worker before it measures: its machine, and the versions of its software."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

import impls
from bench.backend_listing import libraries
from bench.checkpoint import source_digest
from impls import BackendError
from pairbench import machine
from pairbench.visible_text import visible_prints

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""File of Linux with a random name of the running kernel, which the containers on a machine share."""

LIBRARIES = ("numpy", "scipy", "numba", "llvmlite", "scikit-learn", "pydantic", "psutil", "threadpoolctl", "filelock")
OF_CLUSTER = ("dask", "distributed", "cloudpickle", "msgpack", "tornado")
"""Libraries that the scheduler and the workers must have in the same version, too."""

Versions = Mapping[str, str | None]


@dataclass(frozen=True)
class WorkerFacts:
    """The machine of a worker, and its software.

    ``machine`` names the machine, in the same way on each of its workers. Machines of one ``bucket`` are comparable.
    ``description`` is that of ``pairbench.machine.describe``.
    """

    machine: str
    bucket: str
    description: dict[str, Any]
    versions: Versions
    cpus: int


def worker_facts(backends: Sequence[str]) -> WorkerFacts:
    """The facts of this process, which is to time these backends."""
    description = machine.describe()
    return WorkerFacts(machine_name(), bucket_name(description), description, versions(backends), machine.cpus_usable())


def versions(backends: Sequence[str]) -> dict[str, str | None]:
    """The versions of everything that takes part in a measurement of these backends; None for what is missing."""
    found: dict[str, str | None] = {"Python": platform.python_version()}
    found.update((name, machine.library_version(name)) for name in (*LIBRARIES, *OF_CLUSTER))
    try:
        with visible_prints():
            loaded = [impls.load(name) for name in backends]
    except BackendError as error:
        return {**found, "backends": str(error)}
    distributions_of_package = metadata.packages_distributions()
    for backend in loaded:
        found.update(libraries(backend, distributions_of_package))
    return {**found, "sources of mlpbench": source_digest(loaded)[:12]}


def differences(ours: Versions, others: Mapping[str, Versions]) -> list[str]:
    """A text for each version that another place has and this process has not. ``others`` are by address."""
    texts = []
    for name in dict.fromkeys([*ours, *(name for theirs in others.values() for name in theirs)]):
        places: dict[str | None, list[str]] = {}
        for address, theirs in others.items():
            if theirs.get(name) != ours.get(name):
                places.setdefault(theirs.get(name), []).append(address)
        texts += [
            f"{name}: {ours.get(name) or 'missing'} here, {version or 'missing'} on {', '.join(addresses)}"
            for version, addresses in places.items()
        ]
    return texts


def machine_name() -> str:
    """A name of this machine: that of its host, and a part of a digest of what differs between machines."""
    try:
        running = BOOT_ID.read_text(encoding="ascii")
    except OSError:
        running = f"{platform.node()} {psutil.boot_time():.0f}"
    return f"{platform.node() or 'host'}-{_digest(running)[:6]}"


def bucket_name(description: Mapping[str, Any]) -> str:
    """The name of the bucket of a machine, from the machine's description."""
    return _digest(json.dumps(machine.bucket(description), sort_keys=True))[:8]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
