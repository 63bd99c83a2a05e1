"""The command ``backends``."""

from __future__ import annotations

from bench import backend_listing
from bench.commands import output
from bench.records import schema
from bench.report.contents import contents
from pairbench import machine
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import OK


def backends(*, destinations: Destinations) -> int:
    """List the backends: their status, and how to install what is missing."""
    with output.caller_input():
        output.check_destinations(destinations, schema.Listing)
        rows = backend_listing.rows()
    document = schema.Listing(command="backends", machine=machine.describe(), rows=rows)
    output.show(document, destinations, contents(document))
    return OK
