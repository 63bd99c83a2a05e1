"""``gate --characterise``: records the gate at work, and prints how often it and other rules err."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from bench.cli import output, terminal
from bench.gate import error_rates, preparation, recording
from bench.gate.error_rates import ErrorRate, RuleScore
from bench.gate.recording import Recording
from bench.records import files
from bench.records.gate_schema import ErrorRateRecord, ErrorRateRow, ErrorRates
from bench.report import tables
from pairbench import machine, worktrees
from pairbench.lock import machine_lock
from pairbench.rounds import ProcessDied

FOLDER = "gate"
CONDITIONS = ("idle", "loaded")


def characterise(sets: int, loaded: bool, budget: float, json_path: str | None, results: Path) -> int:
    """Add to a recording if sets are asked for; score all recordings that there are."""
    with output.caller_input():
        if sets < 0:
            raise ValueError(f"--sets is a number of sets, not {sets}")
        output.check_json_path(json_path, ErrorRates)
        if sets:
            _record(results / FOLDER, CONDITIONS[loaded], sets, loaded)
        recordings = _recordings(results / FOLDER)
        if not recordings:
            raise ValueError(f"there is no recording in {results / FOLDER}; --sets 60 makes one")
    scores = {name: error_rates.score_rules(one, budget) for name, one in recordings.items()}
    document = ErrorRates(
        command="gate",
        version=output.version(),
        machine=machine.describe(),
        budget=budget,
        rows=[_row(name, one) for name, found in scores.items() for one in found],
    )
    output.answer(document, json_path, *_text(recordings, scores))
    return output.OK


def _record(folder: Path, name: str, count: int, loaded: bool) -> None:
    root = worktrees.find_repository()
    head = worktrees.working_tree(root)
    with machine_lock(terminal.say), terminal.progress() as progress:
        files.make_folder(folder)
        worktrees.remove_stale(root / preparation.STORE)
        tree = worktrees.lay_out(root / preparation.STORE, head, "head")
        preparation.run_trial_round(
            {"head": tree}, {recording.ROW.key: recording.recorded_plan()}
        )  # the others get what it compiles
        places = {side: worktrees.lay_out(root / preparation.STORE, head, side) for side in worktrees.SLOTS}
        settings = {"sources": head.digest, "row": recording.ROW.key, "machine": machine.bucket(machine.describe())}
        try:
            recording.record_rounds(folder / f"{name}.npz", places, settings, count, loaded, progress)
        except (ProcessDied, RuntimeError) as error:
            raise click.ClickException(f"the recording ended early: {error}") from error


def _recordings(folder: Path) -> dict[str, Recording]:
    paths = {name: folder / f"{name}.npz" for name in CONDITIONS}
    return {name: recording.read_recording(path) for name, path in paths.items() if path.exists()}


def _row(name: str, one: RuleScore) -> ErrorRateRow:
    rates = {verdict: ErrorRateRecord(**asdict(rate)) for verdict, rate in one.rates.items()}
    return ErrorRateRow(recording=name, rule=one.rule, planted=one.planted, measured=one.measured, rates=rates)


def _text(recordings: Mapping[str, Recording], scores: Mapping[str, Sequence[RuleScore]]) -> Iterator[RenderableType]:
    for name, one in recordings.items():
        count = len(one.seconds)
        yield Text(f"{name}: {count} sets, {one.wall_seconds / count:.1f} s each, of {recording.ROW.key}", style="bold")
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
