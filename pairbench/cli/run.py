"""The command ``pairbench run``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING, INTERRUPTED, OK
from pairbench.cli.options import budget_option, destination_options, examples
from pairbench.cli.rendering import Rendering, check_files, to_csv

if TYPE_CHECKING:
    from pairbench.command_timer import CommandTimes

SEPARATOR = "---"
SCHEMA = "pairbench.run/1"
LEGEND = (
    "speedup: time of the first command ÷ time of this one; above 1 this one is faster. It is the median over the "
    "runs, which are interleaved in balanced order, with its 95 % interval.",
    "A/A: the first command against itself; it should be 1.",
)


@click.command(
    context_settings={"allow_interspersed_args": False},  # the options of a command are its own, also without --
    epilog=examples(
        "pairbench run -- gzip -k -f -c data --- zstd -c data",
        "pairbench run -- 'sort data | uniq' --- 'sort -u data'",
    ),
)
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND --- COMMAND")
@click.option("--warmup", default=1, metavar="N", help="Untimed runs of each command at the beginning. Default: 1.")
@click.option("--runs", default=100, metavar="N", help="Most timed runs of each command. Default: 100.")
@budget_option(60.0)
@destination_options
def run(*, words: tuple[str, ...], warmup: int, runs: int, budget: float, destinations: Destinations) -> int:
    """Time two or more commands against each other.

    The commands are separated by ---. One of several words is run directly; one of a single word is run by the shell.
    They have no input, and what they print is dropped. The runs are interleaved. They end when every ratio is known to
    1%, or the budget is spent. Exit status: 0 success, 1 a command has failed.
    """
    from pairbench.cli.progress import progress
    from pairbench.command_timer import CommandFailed, CommandTimes, time_commands
    from pairbench.option_values import check_budget

    try:
        check_files(destinations)
        times = CommandTimes(split_commands(words))
        check_budget(budget)
        if warmup < 0 or runs < 2:
            raise ValueError("--warmup must be 0 or more, and --runs 2 or more")
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    status = OK
    try:
        with progress() as shown:
            time_commands(times, warmup, runs, budget, shown.stage)
    except KeyboardInterrupt:
        if not times.runs:
            raise
        status = INTERRUPTED
    except CommandFailed as failure:
        for line in failure.output:
            click.echo(line, err=True)
        click.echo(f"pairbench: {failure}", err=True)
        return FINDING
    rendering(times).write(destinations)
    return status


def split_commands(words: tuple[str, ...]) -> dict[str, Any]:
    """The commands between the separators, by title. Raises ValueError unless there are two different ones or more."""
    from pairbench.command_timer import Command

    parts: list[list[str]] = [[]]
    for word in words:
        if word == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(word)
    if len(parts) < 2 or not all(part and part[0].strip() for part in parts):
        raise ValueError("give two commands or more, separated by ---, such as: pairbench run -- ls --- ls -l")
    commands: dict[str, Any] = {}
    for part in parts:
        command = Command(tuple(part))
        title = next(
            title
            for number in range(1, len(parts) + 1)
            if (title := command.title if number == 1 else f"{command.title} ({number})") not in commands
        )
        commands[title] = command
    return commands


def rendering(times: CommandTimes) -> Rendering:
    """The times in every format."""
    from pairbench import machine
    from pairbench.cli import tables
    from pairbench.command_timer import CONTROL
    from pairbench.comparison_views import ratio_text, seconds_text
    from pairbench.wording import counted

    def seconds(interval: Any) -> str:
        low, high = (seconds_text(end) for end in (interval.low, interval.high))
        return f"{seconds_text(interval.estimate)} [{low}, {high}]"

    rows, records = [], []
    for arm in times.arms:
        is_first = arm == times.reference
        speedup, middle, mean = times.speedup(arm), times.median(arm), times.mean(arm)
        rows.append((arm, seconds(middle), seconds(mean), "1" if is_first else ratio_text(speedup)))
        records.append(
            {
                "arm": arm,
                "command": times.command_of(arm).title,
                "runs": times.runs,
                "median": None if middle is None else asdict(middle),
                "mean": None if mean is None else asdict(mean),
                "speedup": None if is_first or speedup is None else asdict(speedup),
            }
        )
    lines = [f"{counted(times.runs, 'run')} of each command; {CONTROL} is a second series of the first.", *LEGEND]
    shown = tables.Report("pairbench run", ("command", "median", "mean", "speedup"), rows, lines)
    document = {
        "schema": SCHEMA,
        "command": "run",
        "machine": machine.describe(),
        "rows": records,
        "seconds": times.seconds,
    }
    return Rendering(shown.text, shown.markdown, lambda: to_csv(list(map(_flat, records))), document)


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """A row for CSV; an interval becomes three columns."""
    flat: dict[str, Any] = {}
    for name, value in record.items():
        if name in ("median", "mean", "speedup"):
            parts = value or {"estimate": None, "low": None, "high": None}
            flat |= {name: parts["estimate"], f"{name}_low": parts["low"], f"{name}_high": parts["high"]}
        else:
            flat[name] = value
    return flat
