"""``gate --baseline``: compares the working tree's speedups with earlier sessions on comparable machines."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.cases import Case
from bench.gate.baseline import (
    certain_gains,
    compared_sessions,
    find_bucket,
    nearest_bucket,
    read_baseline,
    recorded_rows,
    session_numbers,
)
from bench.gate.earlier_session import earlier_session
from bench.gate.gate_document import gate_document, row_without_figures
from bench.gate.row_plans import BackendCase
from bench.gate.session import PROCESSES, MeasuredSession, SessionHead, measure_session, prepare_head
from bench.records.gate_schema import Baseline, Bucket, Cause, Gate, GateRow, Session, SessionRow
from bench.records.header import now
from bench.records.schema import Ratio
from pairbench import machine, session_test
from pairbench.machine import Meter
from pairbench.progress import Progress
from pairbench.session_test import SessionJudgement
from pairbench.wording import counted, in_percent

INTERRUPTED = f"interrupted before all {PROCESSES} processes of a session were measured"


@dataclass(frozen=True)
class BaselineRequest:
    """The arguments of the gate.

    ``path`` is the baseline file, read at ``revision`` if that is not None. ``results`` is the folder with the
    documents of earlier gates, whose sessions may confirm a suspicion; None for no folder. ``threshold`` is a share,
    ``budget`` is in seconds. ``row_options`` are the command-line options that choose the same rows.
    """

    path: Path
    revision: str | None
    results: Path | None
    cases: tuple[Case, ...]
    backends: tuple[str, ...]
    threshold: float
    budget: float
    row_options: str

    def command(self, name: str) -> str:
        """The command ``mlpbench baseline NAME`` for this file and these rows."""
        return f"mlpbench baseline {name} --baseline {shlex.quote(str(self.path))} {self.row_options}".rstrip()


def judge_against_baseline(request: BaselineRequest, progress: Progress) -> tuple[Gate, bool]:
    """The gate's document on the working tree, and whether the measurement was interrupted.

    Raises ValueError if the baseline cannot be read or the rows cannot be measured.
    """
    started, meter = now(), Meter.start()
    baseline = read_baseline(request.path, request.revision)
    own = find_bucket(baseline, machine.bucket(machine.describe()))
    head = prepare_head(request.cases, request.backends, request.budget, progress)
    measured = measure_session(head, progress, head.judged)
    earlier = None
    if request.results is not None:
        earlier = earlier_session(request.results, own.machine, head.revision.digest)
    rows = judge_rows(head, own, measured, earlier, request.threshold)
    interrupted = measured.interrupted is not None
    notes = [] if interrupted else _gains(own, measured.session, earlier, head, request.command("accept"))
    if len(own.sessions) < session_test.MIN_SESSIONS:
        notes += _too_few_sessions(baseline, own, request.command("record"))
    document = gate_document(
        started=started,
        options={
            "baseline": str(request.path),
            "from": request.revision,
            "threshold": request.threshold,
            "budget": request.budget,
            "rows": [row.key for row in head.rows],
        },
        head=head.revision,
        base=None,
        rows=rows,
        notes=[*head.notes, *notes],
        conditions=meter.read(),
        rounds=[],
        session=None if interrupted else measured.session,
    )
    return document, interrupted


def judge_rows(
    head: SessionHead, own: Bucket, measured: MeasuredSession, earlier: Session | None, threshold: float
) -> list[GateRow]:
    """The rows of the document. ``earlier`` is a session of the same sources, measured by an earlier gate."""
    session, wrong = measured.session, {**head.wrong, **measured.failures}
    rows = []
    for row in head.rows:
        if row.key in wrong:
            rows.append(row_without_figures(row, "FAIL", f"the head fails: {wrong[row.key]}"))
        elif row.key not in session.rows:
            rows.append(row_without_figures(row, "INCONCLUSIVE", INTERRUPTED))
        else:
            rows.append(_measured_row(row, own, session, earlier, threshold, len(head.rows)))
            if measured.interrupted is not None:
                rows[-1] = rows[-1].model_copy(update={"verdict": "INCONCLUSIVE", "reason": INTERRUPTED})
    return rows


def _gains(own: Bucket, session: Session, earlier: Session | None, head: SessionHead, command: str) -> list[str]:
    """Notes on the rows that are faster than the anchor in two sessions."""
    gains = certain_gains(own, session, earlier, [row.key for row in head.rows])
    notes = [f"{key} is at least {in_percent(factor - 1, 1)} faster than its anchor." for key, factor in gains.items()]
    return [*notes, f"To accept gains into the baseline: {command}"] if gains else []


def _too_few_sessions(baseline: Baseline, own: Bucket, command: str) -> list[str]:
    """Notes that ask for more sessions, and list the differences to the most similar machine with sessions."""
    notes = [
        f"The baseline has {counted(len(own.sessions), 'session')} of machines like this one; record another: {command}"
    ]
    nearest = None if own.sessions else nearest_bucket(baseline, own.machine)
    if nearest is not None:
        other, keys = nearest
        differences = (
            f"{key} ({_text(other.machine.get(key))} there, {_text(own.machine.get(key))} here)" for key in keys
        )
        known = counted(len(other.sessions), "session")
        notes.append(f"The baseline has {known} of a machine that differs in {', '.join(differences)}.")
    return notes


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={setting}" for name, setting in value.items())
    return " ".join(value) if isinstance(value, list) else str(value or "none")


def _measured_row(
    row: BackendCase, own: Bucket, session: Session, earlier: Session | None, threshold: float, rows: int
) -> GateRow:
    now, recorded = session.rows[row.key], recorded_rows(own, row.key)
    history, other = compared_sessions(own, row.key, earlier)
    judgement = session_test.judge_session(history, math.log(now.speedup), other, threshold, rows)
    before = [] if judgement.level is None else [recorded[position] for position in judgement.level.positions]
    changed, confirmed = _changed_times(before, now), judgement.verdict == "FAIL"
    verdict, reason = judgement.verdict, ""
    if judgement.sessions < session_test.MIN_SESSIONS:
        reason = f"only {judgement.sessions} of the {session_test.MIN_SESSIONS} sessions that a verdict needs"
    elif confirmed and changed == ["reference"]:
        verdict, reason = "INCONCLUSIVE", "the speedup fell because the reference became faster"
    elif confirmed:
        level = _level(own, row.key, judgement)
        reason = f"in two sessions, the speedup is more than {in_percent(threshold, 1)} below {level}"
    elif judgement.suspected:
        reason = f"the speedup is below {_level(own, row.key, judgement)}; another session must confirm that"
    elif verdict == "INCONCLUSIVE":
        reason = f"the sessions vary too much to detect {in_percent(threshold, 1)}"
    return row_without_figures(row, verdict, reason).model_copy(
        update={
            "base_seconds": median(earlier_row.seconds for earlier_row in before) if before else None,
            "head_seconds": now.seconds,
            "change": _change(judgement),
            "minimum_detectable_effect": None if judgement.detectable is None else math.exp(judgement.detectable),
            "rounds": judgement.sessions,
            "confirming_rounds": 1 if confirmed else None,
            "changed_times": changed,
        }
    )


def _level(own: Bucket, key: str, judgement: SessionJudgement) -> str:
    """The level that decides, in words."""
    assert judgement.level is not None
    numbers = session_numbers(own, key)
    first, last = judgement.level.positions[0], judgement.level.positions[-1]
    return f"its {judgement.level.name}, sessions {numbers[first]} to {numbers[last]}"


def _change(judgement: SessionJudgement) -> Ratio | None:
    if judgement.estimate is None or judgement.low is None or judgement.high is None:
        return None
    return Ratio(estimate=math.exp(judgement.estimate), low=math.exp(judgement.low), high=math.exp(judgement.high))


def _changed_times(before: Sequence[SessionRow], now: SessionRow) -> list[Cause]:
    """Which of the two times, the backend's and the reference's, lie outside their prediction intervals."""
    times: dict[Cause, tuple[list[float], float]] = {
        "backend": ([earlier.seconds for earlier in before], now.seconds),
        "reference": ([earlier.reference_seconds for earlier in before], now.reference_seconds),
    }
    return [
        cause
        for cause, (history, value) in times.items()
        if len(history) >= session_test.MIN_SESSIONS
        and session_test.outside_prediction([math.log(earlier) for earlier in history], math.log(value))
    ]
