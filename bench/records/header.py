"""The header of the commands' documents."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from bench.records.source import source
from pairbench import machine


def now() -> str:
    """The current time in UTC, in ISO format, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def version() -> str:
    """The installed version of mlpbench."""
    return machine.library_version("mlpbench") or "not installed"


def header(command: str, started: str) -> dict[str, Any]:
    """The header fields of a document, with the current time as ``finished``."""
    return {
        "command": command,
        "version": version(),
        "started": started,
        "finished": now(),
        "machine": machine.describe(),
        "source": source(),
    }
