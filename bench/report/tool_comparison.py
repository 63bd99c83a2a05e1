"""The table of pairbench beside other tools: ``python -m bench.report.tool_comparison SEED COUNT FOLDER``.

It runs the tools, counts how often each reports a regression, and prints the counts as Markdown.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import median

from bench.checkpoint import Checkpoint
from bench.records.files import RecordError
from bench.records.tool_comparison_schema import ToolComparisonState, ToolRun
from bench.report import markdown, tables, terminal
from bench.report.terminal import say
from bench.tool_comparison import schedule
from bench.tool_comparison.pairs import PLANTED
from bench.tool_comparison.schedule import Share
from bench.tool_comparison.tools import TOOLS, Tool
from pairbench import machine
from pairbench.duration import in_words
from pairbench.markdown import list_item
from pairbench.visible_text import visible
from pairbench.wording import counted, in_percent

NAME = "tool-comparison"


def lines(runs: Sequence[ToolRun], versions: Mapping[str, str | None]) -> Iterator[str]:
    """The table as Markdown, and below it the missing tools, the failed runs, the versions and the machine."""
    headings = ["A/A" if planted == 0 else f"planted {in_percent(planted)}" for planted in PLANTED]
    table = tables.plain("tool", "a regression is", *headings, "time of a run", left=2)
    for tool in TOOLS:
        times = [run.seconds for run in runs if run.tool == tool.name]
        for reading, meaning in tool.readings.items():
            if versions[tool.name] is None:
                cells = ["skipped"] * len(PLANTED)
            else:
                cells = [cell(schedule.share(runs, tool.name, reading, planted)) for planted in PLANTED]
            table.add_row(tool.name, meaning, *cells, f"{median(times):.0f} s" if times else tables.NONE)
    yield from markdown.table(table)
    yield ""
    for tool in TOOLS:
        if versions[tool.name] is None:
            yield list_item(f"{tool.name} is skipped: it is not installed; {tool.how_to_install}.")
    failures = Counter((run.tool, run.reason) for run in runs if run.reason)
    for (name, reason), failed in failures.items():
        yield list_item(f"failed and not counted: {counted(failed, 'run')} of {name}: {reason}")
    installed = ", ".join(f"{tool} {version}" for tool, version in versions.items() if version is not None)
    described = machine.describe()
    yield list_item(f"{installed}; Python {described['python']}; {described['cpu']}, {described['cpus']} CPUs.")


def cell(found: Share) -> str:
    """How many of the runs reported a regression, with the interval of the share in percent."""
    if found.runs == 0:
        return tables.NONE
    inconclusive = f", {found.inconclusive} inconclusive" if found.inconclusive else ""
    return f"{found.regressions} of {found.runs} [{100 * found.low:.0f}, {100 * found.high:.0f}]{inconclusive}"


def measure(tools: Sequence[Tool], seed: int, count: int, checkpoint: Checkpoint[ToolComparisonState]) -> None:
    """Perform the runs that are missing, and save each one."""
    state = checkpoint.state
    left = list(schedule.remaining(tools, seed, count, state.runs))
    per_repetition = len(list(schedule.schedule(tools, seed, 1)))
    for position, (tool, pair) in enumerate(left):
        if position == 0 or len(state.runs) % per_repetition == 0:
            seconds = schedule.seconds_left(tools, left[position:], state.runs)
            say(f"{counted(len(left) - position, 'run')} left, about {in_words(seconds)}")
        run = schedule.perform(tool, pair)
        if run.reason:
            say(f"{tool.name} failed: {run.reason}")
        state = state.model_copy(update={"runs": [*state.runs, run]})
        checkpoint.save(state)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print as the command line says; return the exit status: 0, 2 for wrong input, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench.report.{Path(__file__).stem}",
        description="Run pairbench, pytest-benchmark, asv and hyperfine on pairs of functions with a planted slowdown.",
    )
    parser.add_argument("seed", type=int, help="the same seed gives the same order of the runs")
    parser.add_argument("count", type=int, help="runs of each tool on each pair")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder for the checkpoint")
    parser.add_argument(
        "--resume", action="store_true", help="continue an interrupted comparison, also to a larger count"
    )
    arguments = parser.parse_args(argv)
    for name, least in (("seed", 0), ("count", 1)):
        if getattr(arguments, name) < least:
            parser.error(f"{name} must be {least} or more, got {getattr(arguments, name)}")
    versions = {tool.name: tool.version() for tool in TOOLS}
    tools = [tool for tool in TOOLS if versions[tool.name] is not None]
    checkpoint = Checkpoint(arguments.folder, NAME, ToolComparisonState, say)
    try:
        checkpoint.begin(
            ToolComparisonState(
                settings={"seed": arguments.seed, "versions": versions},
                started=datetime.now().astimezone().isoformat(timespec="seconds"),
                runs=[],
            ),
            arguments.resume,
        )
    except RecordError as error:
        print(f"{parser.prog}: {visible(str(error))}", file=sys.stderr)
        return 2
    for tool in TOOLS:
        if versions[tool.name] is None:
            say(f"{tool.name} is not installed and is skipped; {tool.how_to_install}")
    status = 0
    try:
        measure(tools, arguments.seed, arguments.count, checkpoint)
    except KeyboardInterrupt:
        say(checkpoint.interruption())
        status = 130
    runs = checkpoint.state.runs
    if runs:
        terminal.write("".join(f"{line}\n" for line in lines(runs, versions)))
    if status == 0:
        checkpoint.clear()
    return status


if __name__ == "__main__":
    sys.exit(main())
