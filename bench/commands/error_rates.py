"""The command ``error-rates``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import click

from bench.checkpoint import Checkpoint
from bench.commands import output
from bench.gate import error_rates as rates
from bench.gate import preparation
from bench.gate.error_rates import ErrorRate, RuleScore
from bench.gate.neutral_edits import edit_revision
from bench.gate.operating_curve import CurvePoint, operating_curve
from bench.gate.recorded_rows import GROUPS, RecordedRow, SimulatedGate, simulated_gates
from bench.gate.recording import (
    Recording,
    read_recording,
    record_rounds,
    recorded_plan,
    recording_of,
    state_of,
    write_recording,
)
from bench.records import files
from bench.records.error_rate_schema import CurvePointRecord, ErrorRateRecord, ErrorRateRow, ErrorRates, RecordingState
from bench.records.header import now, version
from bench.report import error_rate_tables, terminal
from pairbench import machine, measurement_loop
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import OK
from pairbench.lock import machine_lock
from pairbench.option_values import check_budget
from pairbench.round_processes import ProcessDied
from pairbench.sequential_test import Verdict
from pairbench.wording import counted
from pairbench.worktrees import Checkout

FOLDER = "gate"
SEED = 1
"""Seed of the simulated gates, so that the same recordings give the same curve."""


def error_rates(
    *,
    rounds: int | None,
    recording: str,
    loaded: bool,
    budget: float,
    gates: int,
    pictures: str | None,
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Record rounds if ``rounds`` is given, then compute the error rates from all recordings."""
    with output.caller_input():
        if rounds is not None and rounds < 1:
            raise ValueError(f"--rounds must be 1 or more, not {rounds}")
        if (resume or loaded) and not rounds:
            raise ValueError(f"{'--resume' if resume else '--loaded'} needs --rounds N, which makes a recording")
        if loaded and recording != "idle":
            raise ValueError("--loaded records what --recording idle records, and no other recording")
        if gates < 1:
            raise ValueError(f"--gates must be 1 or more, not {gates}")
        most = check_budget(budget)
        output.check_destinations(destinations, ErrorRates)
        if pictures is not None:
            drawing = output.picture_module("bench.report.operating_curve_picture")
            folder = output.pictures_folder(pictures)
        if rounds:
            for name, recorded in GROUPS["loaded" if loaded else recording].items():
                _record(results, name, recorded, rounds, resume)
        groups = _recordings(results / FOLDER)
        if not groups:
            raise ValueError(f"there is no recording in {results / FOLDER}; --rounds 60 makes one")
    with_delays = {name: members[0] for name, members in groups.items() if members[0].calibration.steps}
    scores = {name: rates.score_rules(recorded, most) for name, recorded in with_delays.items()}
    curves = {
        (name, gate): operating_curve(members, gate, most, gates, Random(SEED))
        for name, members in groups.items()
        for gate in simulated_gates(name)
    }
    document = ErrorRates(
        command="error-rates",
        version=version(),
        machine=machine.describe(),
        budget=most,
        rows=[_row(name, score) for name, of_recording in scores.items() for score in of_recording],
        curve=[_point(name, gate, point) for (name, gate), points in curves.items() for point in points],
    )
    notes = []
    if pictures is not None:
        notes.append(f"picture: {drawing.draw_operating_curves(document, folder)}")
    shown = [*error_rate_tables.rates(with_delays, scores), *error_rate_tables.curves(document)]
    output.show(document, destinations, shown, notes)
    return OK


def _record(results: Path, name: str, recorded: RecordedRow, count: int, resume: bool) -> None:
    """Record ``count`` rounds.

    With ``resume``, the rounds are added to the unfinished recording, or to the finished one if none is unfinished.
    """
    checkout = Checkout.find(preparation.PACKAGE)
    base = checkout.working_tree()
    head = base if recorded.edit is None else edit_revision(base, recorded.edit)
    path = results / FOLDER / f"{name}.npz"
    checkpoint = Checkpoint(results, f"error-rates-{name}", RecordingState, terminal.say)
    with machine_lock(terminal.say):
        files.make_folder(path.parent)
        settings = {
            "sources": head.digest,
            "row": recorded.row.key,
            "machine": machine.bucket(machine.describe()),
        }
        fresh = RecordingState(settings=settings, started=now(), loops=0, delay_steps=[], wall_seconds=0, seconds=[])
        checkpoint.check(resume)
        if path.exists() and not checkpoint.path.exists():
            finished = _finished_recording(path, settings, resume)
            checkpoint.save(state_of(finished, fresh.started))
        state = checkpoint.begin(fresh, resume)
        with checkpoint.resumable(), terminal.progress() as progress:
            progress.stage(f"{name}: compiling in a trial round")
            plans = {recorded.row.key: recorded_plan(recorded.row)}
            compiled = preparation.lay_out(checkout, {"head": head, "base": base})
            # Worktrees that are laid out later are copies of these, with their compiled code.
            libraries = measurement_loop.run_trial_round(compiled, plans).libraries
            places = compiled | preparation.lay_out(checkout, {"control": base})
            try:
                state = record_rounds(state, recorded, places, libraries, count, progress, checkpoint.save)
            except (ProcessDied, RuntimeError) as error:
                raise click.ClickException(f"the recording ended early: {error}") from error
        write_recording(path, recording_of(state))
        checkpoint.clear()


def _finished_recording(path: Path, settings: dict[str, Any], resume: bool) -> Recording:
    """Read a finished recording, to which rounds are added.

    Raises ValueError without ``resume`` or with other settings, because a finished recording is never dropped.
    """
    finished = read_recording(path)
    different = [key for key in settings if finished.settings.get(key) != settings[key]]
    if different:
        raise ValueError(
            f"{path} was recorded with other {' and '.join(different)}; name another folder with --results"
        )
    if not resume:
        raise ValueError(f"{path} holds {counted(len(finished.seconds), 'round')}; --resume adds to them")
    return finished


def _recordings(folder: Path) -> dict[str, list[Recording]]:
    """The stored recordings, by group."""
    groups = {
        group: [read_recording(path) for name in members if (path := folder / f"{name}.npz").exists()]
        for group, members in GROUPS.items()
    }
    return {group: recordings for group, recordings in groups.items() if recordings}


def _row(name: str, score: RuleScore) -> ErrorRateRow:
    return ErrorRateRow(
        recording=name,
        rule=score.rule,
        planted=score.planted,
        measured=score.measured,
        rates=_records(score.rates),
    )


def _point(name: str, gate: SimulatedGate, point: CurvePoint) -> CurvePointRecord:
    return CurvePointRecord(
        recording=name,
        rows=gate.rows,
        threshold=gate.threshold,
        rounds=point.size.rounds,
        blocks=point.size.blocks,
        later_blocks=point.size.later_blocks,
        slowdown=point.slowdown,
        share=point.share,
        rates=_records(point.rates),
    )


def _records(shares: Mapping[Verdict, ErrorRate]) -> dict[Verdict, ErrorRateRecord]:
    return {verdict: ErrorRateRecord(**asdict(rate)) for verdict, rate in shares.items()}
