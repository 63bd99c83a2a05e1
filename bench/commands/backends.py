"""The command ``backends``."""

from __future__ import annotations

from bench import backend_listing
from bench.commands import output
from bench.commands.exit_codes import OK
from bench.records import schema
from bench.report import tables
from pairbench import machine


def backends(*, json_path: str | None) -> int:
    """List the backends: their status, and how to install what is missing."""
    with output.caller_input():
        output.check_json_path(json_path, schema.Listing)
        rows = backend_listing.rows()
    document = schema.Listing(command="backends", machine=machine.describe(), rows=rows)
    output.show(document, json_path, *tables.backends(document.rows))
    return OK
