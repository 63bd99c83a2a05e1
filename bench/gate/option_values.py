"""Writes options for the commands that the gate recommends."""

from __future__ import annotations

import shlex
from collections.abc import Iterable


def row_options(
    backends: Iterable[str], networks: Iterable[str], operations: Iterable[str], batches: Iterable[int]
) -> str:
    """The options that choose these rows, as text for a shell; empty for the default rows."""
    named = {"--backend": backends, "--network": networks, "--operation": operations, "--batch": batches}
    return shlex.join(word for option, values in named.items() for value in values for word in (option, str(value)))
