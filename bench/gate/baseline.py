"""The stored sessions: buckets of machines that are alike, their sessions, and the gains that were accepted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from bench.gate import preparation
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import AcceptedGain, Baseline, BaselineRow, Bucket, GateRow, Session
from bench.records.schema import Ratio
from pairbench import sequential_test
from pairbench.worktrees import Checkout


def read_baseline(path: Path, revision: str | None = None) -> Baseline:
    """The baseline of a file; with a revision, of the file as that has it. Raises RecordError and WorktreeError."""
    if revision is None:
        return files.read(path, Baseline)
    checkout = Checkout.find(preparation.PACKAGE)
    try:
        inside = path.resolve().relative_to(checkout.root.resolve()).as_posix()
    except ValueError:
        raise RecordError(f"{path} is not in {checkout.root}, so no revision has it") from None
    text = checkout.text_at(revision, inside)
    if text is None:
        raise RecordError(f"{revision} has no {inside}")
    return files.parse(f"{inside} of {revision}", text.encode(), Baseline)


def add_session(baseline: Baseline, bucket: dict[str, Any], session: Session) -> Baseline:
    """The baseline with a session more in the bucket."""
    own = find_bucket(baseline, bucket)
    return _replaced(baseline, own.model_copy(update={"sessions": [*own.sessions, session]}))


def accept_gains(baseline: Baseline, bucket: dict[str, Any], gains: Mapping[str, float]) -> Baseline:
    """The baseline moved up for rows that became faster, by the factors of their speedups."""
    own = find_bucket(baseline, bucket)
    moves = [AcceptedGain(row=key, factor=factor, sessions=len(own.sessions)) for key, factor in gains.items()]
    return _replaced(baseline, own.model_copy(update={"moves": [*own.moves, *moves]}))


def find_bucket(baseline: Baseline, bucket: dict[str, Any]) -> Bucket:
    """The bucket of a machine, empty where there is none."""
    empty = Bucket(machine=bucket, sessions=[], moves=[])
    return next((one for one in baseline.buckets if one.machine == bucket), empty)


def nearest_bucket(baseline: Baseline, bucket: dict[str, Any]) -> tuple[Bucket, list[str]] | None:
    """The bucket that differs from a machine in fewest things, and these; None where there is no bucket."""
    differences = [(one, [key for key in bucket if one.machine.get(key) != bucket[key]]) for one in baseline.buckets]
    return min(differences, key=lambda pair: len(pair[1]), default=None)


def certain_gains(rows: Sequence[GateRow], keys: Sequence[str]) -> dict[str, float]:
    """By row, the factor of a speedup that has certainly grown."""
    return {
        key: 1 / row.change.estimate
        for key, row in zip(keys, rows, strict=True)
        if row.change is not None
        and row.change.high is not None
        and row.change.high < 1
        and row.rounds >= sequential_test.MIN_SESSIONS
    }


def speedups(own: Bucket, key: str) -> list[float]:
    """Logarithms of a row's speedups in the bucket's sessions, moved as it was ratcheted."""
    moves = [move for move in own.moves if move.row == key]
    return [
        math.log(session.rows[key].speedup) + sum(math.log(move.factor) for move in moves if number < move.sessions)
        for number, session in enumerate(own.sessions)
        if key in session.rows
    ]


def baseline_rows(own: Bucket) -> list[BaselineRow]:
    """What the bucket's sessions say of each row, in the order in which the rows were first recorded."""
    rows = []
    for key in dict.fromkeys(key for session in own.sessions for key in session.rows):
        logarithms = speedups(own, key)
        recorded = [session.rows[key] for session in own.sessions if key in session.rows]
        low, high = sequential_test.prediction_interval(logarithms) if len(logarithms) > 1 else (None, None)
        rows.append(
            BaselineRow(
                row=key,
                sessions=len(logarithms),
                speedup=Ratio(
                    estimate=math.exp(fmean(logarithms)),
                    low=None if low is None else math.exp(low),
                    high=None if high is None else math.exp(high),
                ),
                seconds=median(one.seconds for one in recorded),
                reference_seconds=median(one.reference_seconds for one in recorded),
                accepted=math.prod(gain.factor for gain in own.moves if gain.row == key),
            )
        )
    return rows


def _replaced(baseline: Baseline, own: Bucket) -> Baseline:
    others = [one for one in baseline.buckets if one.machine != own.machine]
    return baseline.model_copy(update={"buckets": [*others, own]})
