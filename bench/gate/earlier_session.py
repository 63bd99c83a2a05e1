"""Finds the session that an earlier ``gate --baseline`` measured on the same sources, in its stored document."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import Session, StoredSession
from pairbench import machine
from pairbench.visible_text import visible_data

LATEST = 50
"""Number of the latest documents in which the session is looked for."""


def earlier_session(results: Path, bucket: Mapping[str, Any], digest: str) -> Session | None:
    """The latest session in a results folder on a machine of this bucket and sources of this digest; None without."""
    for path in sorted(results.glob("gate-*.json"), reverse=True)[:LATEST]:  # the names begin with the time
        with suppress(RecordError):  # of another version, or damaged
            stored = files.read_part(path, StoredSession)
            if (
                stored.session is not None
                and stored.session.digest == digest
                and visible_data(machine.bucket(stored.machine)) == visible_data(bucket)
            ):
                return stored.session
    return None
