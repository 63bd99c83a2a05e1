"""Declares the command ``error-rates`` and its options."""

from __future__ import annotations

from typing import Any

import click

from bench.cli.shared_options import destination_options, results_option, resume_option
from pairbench.cli.options import examples


@click.command("error-rates", epilog=examples("mlpbench error-rates --budget 60"))
@click.option(
    "--rounds",
    type=int,
    metavar="N",
    help="Record N rounds first, at about 1.5 seconds each, after a minute of compiling and calibrating.",
)
@click.option(
    "--recording",
    type=click.Choice(["idle", "slow", "fast", "fine", "edits"]),
    default="idle",
    help="What to record: the usual row (idle), a slow or a fast row, the usual row with more blocks in a round, as in "
    "a gate with a low threshold (fine), or the usual row with each of ten neutral edits in the head (edits). "
    "Default: idle.",
)
@click.option("--loaded", is_flag=True, help="Record while two other processes keep the CPUs busy.")
@click.option(
    "--budget",
    default=240.0,
    metavar="SECONDS",
    help="Budget of the gate whose error rates are shown, in seconds. Default: 240. It does not limit the recording.",
)
@click.option(
    "--gates",
    default=200,
    metavar="N",
    help="Number of simulated gates for each point of the operating curve. Default: 200.",
)
@click.option("--pictures", type=click.Path(), metavar="DIR", help="Draw operating_curve.svg into DIR.")
@resume_option
@destination_options
@results_option
def error_rates(**options: Any) -> int:
    """Show the error rates of the gate and of other rules.

    The rates are computed from the recordings in results/gate/. A recording holds rounds of one revision against
    itself, with delays planted in calls of the head. The operating curve is the probability of each verdict against the
    true slowdown, for a gate of one row and for a default gate.
    """
    from bench.commands import error_rates as command

    return command.error_rates(**options)
