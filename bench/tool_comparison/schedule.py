"""Which run follows which, and the counts of what the runs have found."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from random import Random
from statistics import median

from bench.gate.error_rates import rate
from bench.records.tool_comparison_schema import ToolRun
from bench.tool_comparison.pairs import KINDS, PLANTED, Pair, lay_out
from bench.tool_comparison.tools import Tool
from bench.tool_comparison.verdicts import ToolFailed


def schedule(tools: Sequence[Tool], seed: int, count: int) -> Iterator[tuple[Tool, Pair]]:
    """All runs: every tool on every pair, ``count`` times, each time in another random order.

    The tools alternate, so a change of the machine meets all alike. A larger count only adds runs at the end.
    """
    for repetition in range(count):
        runs = [(tool, Pair(kind, planted)) for tool, kind, planted in product(tools, KINDS, PLANTED)]
        Random(f"{seed} {repetition}").shuffle(runs)
        yield from runs


def remaining(tools: Sequence[Tool], seed: int, count: int, done: Sequence[ToolRun]) -> Iterator[tuple[Tool, Pair]]:
    """The runs of the schedule after those that are done."""
    return islice(schedule(tools, seed, count), len(done), None)


def perform(tool: Tool, pair: Pair) -> ToolRun:
    """One run in a new repository. A tool that gives no verdict has the verdict "failed" and a reason."""
    with tempfile.TemporaryDirectory(prefix="pair-") as name:
        project = lay_out(Path(name).resolve(), pair)
        start = time.perf_counter()
        try:
            found, reason = tool.run(project), ""
        except ToolFailed as failure:
            found, reason = dict.fromkeys(tool.readings, "failed"), str(failure)
        seconds = time.perf_counter() - start
    return ToolRun(tool=tool.name, kind=pair.kind, planted=pair.planted, seconds=seconds, verdicts=found, reason=reason)


def seconds_left(tools: Sequence[Tool], runs: Sequence[tuple[Tool, Pair]], done: Sequence[ToolRun]) -> float:
    """Forecast of the time of some runs, from those that are done, or the usual time of a tool that has none."""
    times = {tool.name: [run.seconds for run in done if run.tool == tool.name] for tool in tools}
    return sum(median(times[tool.name] or [tool.usual_seconds]) for tool, _ in runs)


@dataclass(frozen=True)
class Share:
    """Of ``runs`` runs with a verdict, ``regressions`` reported a regression; the others do not.

    ``low`` and ``high``: the 95 % interval of the share by Clopper and Pearson. ``inconclusive`` runs are among those
    without a regression. Failed runs are left out.
    """

    regressions: int
    inconclusive: int
    runs: int
    low: float
    high: float


def share(runs: Sequence[ToolRun], tool: str, reading: str, planted: float) -> Share:
    """How often a tool has reported a regression, over all kinds of functions."""
    verdicts = [run.verdicts[reading] for run in runs if (run.tool, run.planted) == (tool, planted)]
    verdicts = [verdict for verdict in verdicts if verdict != "failed"]
    regressions = rate(verdicts.count("regression"), len(verdicts))
    return Share(regressions.count, verdicts.count("inconclusive"), regressions.runs, regressions.low, regressions.high)
