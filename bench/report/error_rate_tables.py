"""The tables of ``error-rates``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from rich.console import RenderableType
from rich.text import Text

from bench.gate import error_rates, recording
from bench.gate.error_rates import ErrorRate, RuleScore
from bench.gate.recording import Recording
from bench.report import tables


def rates(recordings: Mapping[str, Recording], scores: Mapping[str, Sequence[RuleScore]]) -> Iterator[RenderableType]:
    """For each recording and rule a table: a planted delay a row, a verdict a column."""
    for name, one in recordings.items():
        count = len(one.seconds)
        yield Text(
            f"{name}: {count} rounds, {one.wall_seconds / count:.1f} s each, of {recording.ROW.key}", style="bold"
        )
        delays = {row.planted: row.measured for row in scores[name] if row.planted}
        yield f"measured, the planted delays are {', '.join(f'{share:.1%}' for share in delays.values())} of a call"
        yield ""
        for rule, members in groupby(scores[name], attrgetter("rule")):
            table = tables.plain("planted", "runs", "FAIL", "PASS", "INCONCLUSIVE")
            for row in members:
                runs = row.rates["FAIL"].runs
                cells = [_share(row.rates[verdict]) for verdict in error_rates.VERDICTS]
                table.add_row("none" if not row.planted else f"{row.planted:.0%}", str(runs), *cells)
            yield Text(rule, style="bold")
            yield table
            yield ""
    yield "Shares of disjoint runs in percent, with the 95 % interval of Clopper and Pearson."


def _share(rate: ErrorRate) -> str:
    if rate.runs == 0:
        return tables.NONE
    return f"{100 * rate.count / rate.runs:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
