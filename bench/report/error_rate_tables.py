"""The tables of ``error-rates``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from rich.console import RenderableType
from rich.text import Text

from bench.gate import error_rates
from bench.gate.error_rates import ErrorRate, RuleScore
from bench.gate.recording import Recording
from bench.records.error_rate_schema import CurvePointRecord, ErrorRateRecord, ErrorRates
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.wording import counted, in_percent


def rates(recordings: Mapping[str, Recording], scores: Mapping[str, Sequence[RuleScore]]) -> Iterator[RenderableType]:
    """For each recording and rule, a table with a row per planted delay and a column per verdict."""
    for name, recorded in recordings.items():
        count = len(recorded.seconds)
        effort = f"{counted(count, 'round')}, {recorded.wall_seconds / count:.1f} s each"
        yield Text(f"{name}: {effort}, of {recorded.settings['row']}", style="bold")
        delays = {row.planted: f"{100 * row.measured:.1f}" for row in scores[name] if row.planted}
        yield f"planted delays as measured, in % of a call: {', '.join(delays.values())}"
        yield ""
        for rule, members in groupby(scores[name], attrgetter("rule")):
            table = tables.plain("planted", "runs", "FAIL", "PASS", "INCONCLUSIVE")
            for row in members:
                runs = row.rates["FAIL"].runs
                cells = [_share(row.rates[verdict]) for verdict in error_rates.VERDICTS]
                table.add_row("none" if not row.planted else in_percent(row.planted), str(runs), *cells)
            yield Text(rule, style="bold")
            yield table
            yield ""
    yield Paragraph(
        "Percentage of the runs that end with each verdict, with the 95 % interval of Clopper and Pearson. No two runs "
        "share a round."
    )


def curves(document: ErrorRates) -> Iterator[RenderableType]:
    """For each recording and simulated gate, the operating curve: a table with a row per slowdown."""
    for (name, rows, threshold), points in groupby(document.curve, attrgetter("recording", "rows", "threshold")):
        table = tables.plain("true slowdown", "FAIL", "PASS", "INCONCLUSIVE")
        for point in points:
            title = in_percent(point.slowdown, 1) if point.share == 1 else _slow_processes(point)
            cells = [_share(point.rates[verdict]) for verdict in error_rates.VERDICTS]
            table.add_row(title, *cells)
            rounds, blocks, gates = point.rounds, point.blocks, point.rates["FAIL"].runs
        yield Text(
            f"operating curve, {name}: {'1 row' if rows == 1 else f'one of {rows} rows'}, threshold "
            f"{in_percent(threshold)}, at most {counted(rounds, 'round')} of {counted(blocks, 'block')}, "
            f"{counted(gates, 'simulated gate')} each",
            style="bold",
        )
        yield table
        yield ""
    yield Paragraph(
        "Percentage of the simulated gates that end with each verdict. Each draws its rounds from the recording, with "
        "replacement, and the slowdown is added to the head's times."
    )


def _slow_processes(point: CurvePointRecord) -> str:
    return f"{in_percent(point.slowdown)} in {in_percent(point.share)} of the processes"


def _share(rate: ErrorRate | ErrorRateRecord) -> str:
    if rate.runs == 0:
        return tables.NONE
    return f"{100 * rate.count / rate.runs:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
