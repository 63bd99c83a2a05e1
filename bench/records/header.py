"""The header that all documents of commands share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pairbench import machine


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def version() -> str:
    """This project's version."""
    return machine.library_version("mlpbench") or "not installed"


def header(command: str, started: str) -> dict[str, Any]:
    """What every document begins with; it ends now."""
    return {
        "command": command,
        "version": version(),
        "started": started,
        "finished": now(),
        "machine": machine.describe(),
    }
