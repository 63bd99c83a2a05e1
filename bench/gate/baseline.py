"""The stored baseline: sessions in buckets of comparable machines, and accepted gains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any

from pydantic import ValidationError

from bench.gate import preparation
from bench.records import files
from bench.records.files import RecordError
from bench.records.gate_schema import AcceptedGain, Baseline, BaselineRow, Bucket, GateRow, Session
from bench.records.schema import Ratio
from pairbench import session_test
from pairbench.visible_text import visible_data
from pairbench.worktrees import Checkout


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


def accept_gains(baseline: Baseline, bucket: dict[str, Any], gains: Mapping[str, float]) -> Baseline:
    """A copy of the baseline in which rows that became faster have accepted gains; ``gains`` has a factor by row."""
    own = find_bucket(baseline, bucket)
    accepted = [AcceptedGain(row=key, factor=factor, sessions=len(own.sessions)) for key, factor in gains.items()]
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


def certain_gains(rows: Sequence[GateRow], keys: Sequence[str]) -> dict[str, float]:
    """The factor by which the speedup grew, by row, for the rows with a significant gain."""
    return {
        key: 1 / row.change.estimate
        for key, row in zip(keys, rows, strict=True)
        if row.change is not None
        and row.change.high is not None
        and row.change.high < 1
        and row.rounds >= session_test.MIN_SESSIONS
    }


def speedups(own: Bucket, key: str) -> list[float]:
    """Logarithms of a row's speedups in the bucket's sessions, multiplied by the accepted gains."""
    gains = [gain for gain in own.moves if gain.row == key]
    return [
        math.log(session.rows[key].speedup) + sum(math.log(gain.factor) for gain in gains if number < gain.sessions)
        for number, session in enumerate(own.sessions)
        if key in session.rows
    ]


def baseline_rows(own: Bucket) -> list[BaselineRow]:
    """A summary of the bucket's sessions for each row, in the order in which the rows were first recorded.

    Raises RecordError if the speedups of a row are so far apart that the interval cannot be computed.
    """
    return [_baseline_row(own, key) for key in dict.fromkeys(key for session in own.sessions for key in session.rows)]


def _baseline_row(own: Bucket, key: str) -> BaselineRow:
    logarithms = speedups(own, key)
    recorded = [session.rows[key] for session in own.sessions if key in session.rows]
    low, high = session_test.prediction_interval(logarithms) if len(logarithms) > 1 else (None, None)
    try:
        return BaselineRow(
            row=key,
            sessions=len(logarithms),
            speedup=Ratio(
                estimate=math.exp(fmean(logarithms)),
                low=None if low is None else math.exp(low),
                high=None if high is None else math.exp(high),
            ),
            seconds=median(session_row.seconds for session_row in recorded),
            reference_seconds=median(session_row.reference_seconds for session_row in recorded),
            accepted=math.prod(gain.factor for gain in own.moves if gain.row == key),
        )
    except (OverflowError, ValidationError):
        raise RecordError(f"the recorded speedups of {key}, with the accepted gains, are too far apart") from None


def _with_bucket(baseline: Baseline, own: Bucket) -> Baseline:
    others = [bucket for bucket in baseline.buckets if bucket.machine != own.machine]
    return baseline.model_copy(update={"buckets": [*others, own]})
