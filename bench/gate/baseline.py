"""The stored baseline: sessions in buckets of comparable machines, and what was accepted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pydantic import ValidationError

from bench.gate import preparation
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import (
    AcceptedMove,
    Baseline,
    BaselineRow,
    Bucket,
    LevelChange,
    Session,
    SessionRow,
)
from bench.records.schema import Ratio
from pairbench import change_points, session_test
from pairbench.session_test import History
from pairbench.visible_text import visible_data
from pairbench.worktrees import Checkout

PREDICTION_ALPHA = 0.05
"""Probability with which the next session lies outside the prediction interval that a summary shows."""


def read_baseline(path: Path, revision: str | None = None) -> Baseline:
    """Read the baseline from a file; with ``revision``, from the file at that revision.

    Raises RecordError and WorktreeError.
    """
    if revision is None:
        if not path.exists():
            raise RecordError(f"there is no baseline {path}; `mlpbench baseline record` makes one")
        return files.read(path, Baseline)
    checkout = Checkout.find(preparation.PACKAGE)
    try:
        relative_path = path.resolve().relative_to(checkout.root.resolve()).as_posix()
    except ValueError:
        raise RecordError(f"{path} is not in {checkout.root}, so no revision contains it") from None
    text = checkout.text_at(revision, relative_path)
    if text is None:
        raise RecordError(f"{revision} does not contain {relative_path}")
    return files.parse(f"{relative_path} at {revision}", text.encode(), Baseline)


def add_session(baseline: Baseline, bucket: dict[str, Any], session: Session) -> Baseline:
    """A copy of the baseline with another session in a machine's bucket."""
    own = find_bucket(baseline, bucket)
    return _with_bucket(baseline, own.model_copy(update={"sessions": [*own.sessions, session]}))


def accept_moves(baseline: Baseline, bucket: dict[str, Any], factors: Mapping[str, float]) -> Baseline:
    """A copy of the baseline in which the anchors of rows are multiplied by ``factors``, which has a factor by row."""
    own = find_bucket(baseline, bucket)
    accepted = [AcceptedMove(row=key, factor=factor, sessions=len(own.sessions)) for key, factor in factors.items()]
    return _with_bucket(baseline, own.model_copy(update={"moves": [*own.moves, *accepted]}))


def find_bucket(baseline: Baseline, bucket: dict[str, Any]) -> Bucket:
    """The bucket of a machine; a new, empty bucket if the baseline has none."""
    machine = visible_data(bucket)  # as files store it
    empty = Bucket(machine=machine, sessions=[], moves=[])
    return next((stored for stored in baseline.buckets if stored.machine == machine), empty)


def nearest_bucket(baseline: Baseline, bucket: dict[str, Any]) -> tuple[Bucket, list[str]] | None:
    """The bucket most similar to a machine, and the keys in which the two differ; None if there is no bucket."""
    differences = [
        (stored, [key for key in {**bucket, **stored.machine} if stored.machine.get(key) != bucket.get(key)])
        for stored in baseline.buckets
    ]
    return min(differences, key=lambda pair: len(pair[1]), default=None)


def compared_sessions(own: Bucket, key: str, earlier: Session | None) -> tuple[History, float | None]:
    """A row's history, and the logarithm of its speedup in the other session that must confirm a fall or a gain.

    The other session is ``earlier``, of the same sources, if that has the row. Else it is the last recorded session,
    which then is no part of the history; it is None as long as the history would be too short for a verdict.
    """
    history = row_history(own, key)
    if earlier is not None and key in earlier.rows:
        return history, math.log(earlier.rows[key].speedup)
    *before, last = history.values or [0.0]
    if len(before) < session_test.MIN_SESSIONS:
        return history, None
    return replace(history, values=before), last


def row_history(own: Bucket, key: str) -> History:
    """The logarithms of a row's speedups in the bucket's sessions, and what was accepted."""
    moves = [move for move in own.moves if move.row == key]
    losses = [move.sessions for move in moves if move.factor <= 1]
    begin = sum(key in session.rows for session in own.sessions[: max(losses, default=0)])
    return History(
        [math.log(recorded.speedup) for recorded in recorded_rows(own, key)],
        sum(math.log(move.factor) for move in moves),
        begin,
    )


def recorded_rows(own: Bucket, key: str) -> list[SessionRow]:
    """A row's figures in each of the bucket's sessions that has it."""
    return [session.rows[key] for session in own.sessions if key in session.rows]


def session_numbers(own: Bucket, key: str) -> list[int]:
    """The numbers of the sessions that have a row, counted from 1."""
    return [number for number, session in enumerate(own.sessions, 1) if key in session.rows]


def certain_gains(own: Bucket, session: Session, earlier: Session | None, keys: Sequence[str]) -> dict[str, float]:
    """By row, the lower bound of the factor by which the speedup exceeds the anchor; rows without a certain gain lack.

    ``keys`` are the rows that are tested together.
    """
    return _certain_moves(session_test.certain_gain, own, session, earlier, keys)


def certain_losses(own: Bucket, session: Session, earlier: Session | None, keys: Sequence[str]) -> dict[str, float]:
    """By row, the factor by which the anchor must be multiplied to accept a loss; rows without a certain loss lack."""
    return _certain_moves(session_test.certain_loss, own, session, earlier, keys)


def _certain_moves(
    test: Callable[[History, float, float | None, int], float | None],
    own: Bucket,
    session: Session,
    earlier: Session | None,
    keys: Sequence[str],
) -> dict[str, float]:
    moves = {}
    for key in keys:
        if key in session.rows:
            history, other = compared_sessions(own, key, earlier)
            move = test(history, math.log(session.rows[key].speedup), other, len(keys))
            if move is not None:
                moves[key] = math.exp(move)
    return moves


def baseline_rows(own: Bucket) -> list[BaselineRow]:
    """A summary of the bucket's sessions for each row, in the order in which the rows were first recorded.

    Raises RecordError if the speedups of a row are so far apart that the interval cannot be computed.
    """
    return [_baseline_row(own, key) for key in _keys(own)]


def _baseline_row(own: Bucket, key: str) -> BaselineRow:
    history, recorded = row_history(own, key), recorded_rows(own, key)
    anchor, low, high, window = history.values[0] + history.accepted, None, None, 0
    speedup = anchor
    if len(recorded) > 1:
        levels = session_test.levels(history)
        anchor, speedup = levels[0].mean, levels[-1].mean
        window = len(levels[-1].positions) if len(levels) > 1 else 0
        half = levels[-1].half_width(PREDICTION_ALPHA / 2)
        low, high = speedup - half, speedup + half
    try:
        return BaselineRow(
            row=key,
            sessions=len(recorded),
            anchor=math.exp(anchor),
            window=window,
            speedup=Ratio(
                estimate=math.exp(speedup),
                low=None if low is None else math.exp(low),
                high=None if high is None else math.exp(high),
            ),
            seconds=median(session_row.seconds for session_row in recorded),
            reference_seconds=median(session_row.reference_seconds for session_row in recorded),
            accepted=math.exp(history.accepted),
        )
    except (OverflowError, ValidationError):
        raise RecordError(f"the recorded speedups of {key}, with what was accepted, are too far apart") from None


def level_changes(own: Bucket) -> list[LevelChange]:
    """Where the speedups of the rows changed, in the bucket's sessions."""
    return [change for key in _keys(own) for change in _changes_of_row(own, key)]


def _changes_of_row(own: Bucket, key: str) -> Iterator[LevelChange]:
    numbers, values = session_numbers(own, key), row_history(own, key).values
    for before, after in pairwise(change_points.segments(values, session_test.SHORTEST)):
        session = own.sessions[numbers[after.start] - 1]
        change = fmean(values[position] for position in after) - fmean(values[position] for position in before)
        yield LevelChange(
            row=key, session=numbers[after.start], started=session.started, head=session.head, factor=math.exp(change)
        )


def _keys(own: Bucket) -> list[str]:
    return list(dict.fromkeys(key for session in own.sessions for key in session.rows))


def _with_bucket(baseline: Baseline, own: Bucket) -> Baseline:
    others = [bucket for bucket in baseline.buckets if bucket.machine != own.machine]
    return baseline.model_copy(update={"buckets": [*others, own]})
