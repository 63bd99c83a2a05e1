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

from bench.cli import answers, tables, terminal
from bench.gate import prepare, recording, score, trees
from bench.gate.alone import machine_lock
from bench.gate.recording import Recording
from bench.gate.score import ErrorRate, RuleScore
from bench.gate.sets import ProcessDied
from bench.records import files
from bench.records.gate_schema import ErrorRateRecord, ErrorRateRow, ErrorRates
from bench.timing import machine

FOLDER = "gate"
CONDITIONS = ("idle", "loaded")


def characterise(sets: int, loaded: bool, budget: float, json_path: str | None, results: Path) -> int:
    """Add to a recording if sets are asked for; score all recordings that there are."""
    with answers.caller_input():
        if sets < 0:
            raise ValueError(f"--sets is a number of sets, not {sets}")
        answers.check_json_path(json_path, ErrorRates)
        if sets:
            _record(results / FOLDER, CONDITIONS[loaded], sets, loaded)
        recordings = _recordings(results / FOLDER)
        if not recordings:
            raise ValueError(f"there is no recording in {results / FOLDER}; --sets 60 makes one")
    scores = {name: score.score_rules(one, budget) for name, one in recordings.items()}
    document = ErrorRates(
        command="gate",
        version=answers.version(),
        machine=machine.describe(),
        budget=budget,
        rows=[_row(name, one) for name, found in scores.items() for one in found],
    )
    answers.answer(document, json_path, *_text(recordings, scores))
    return answers.OK


def _record(folder: Path, name: str, count: int, loaded: bool) -> None:
    root = trees.find_repository()
    head = trees.working_tree(root)
    with machine_lock(terminal.say), terminal.progress() as progress:
        files.make_folder(folder)
        trees.remove_stale(root / prepare.STORE)
        tree = trees.lay_out(root / prepare.STORE, head, "head")
        prepare.run_trial_round(
            {"head": tree}, {recording.ROW.key: recording.recorded_plan()}
        )  # the others get what it compiles
        places = {side: trees.lay_out(root / prepare.STORE, head, side) for side in trees.SLOTS}
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
                cells = [_share(row.rates[verdict]) for verdict in score.VERDICTS]
                table.add_row("none" if not row.planted else f"{row.planted:.0%}", str(runs), *cells)
            yield Text(rule, style="bold")
            yield table
            yield ""
    yield "Shares of disjoint runs in percent, with the 95 % interval of Clopper and Pearson."


def _share(rate: ErrorRate) -> str:
    if rate.runs == 0:
        return tables.NONE
    return f"{100 * rate.count / rate.runs:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
