"""The tables and sentences of the ``baseline`` commands."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from bench.records.gate_schema import BaselineAcceptance, BaselineSummary, LevelChange, RecordedSession
from bench.report import tables
from bench.report.layout import Paragraph
from pairbench.session_test import MIN_SESSIONS
from pairbench.wording import counted, in_percent

LEGEND = (
    "anchor: speedup of the first ten sessions, with the accepted gains and losses. window: number of sessions of the "
    "window, the highest level that lasted ten sessions. speedup: mean of the window, or else the anchor, with the "
    "95 % prediction interval for the next session."
)


def recorded(document: RecordedSession) -> Iterator[RenderableType]:
    """The recorded session, and how many sessions a verdict still needs."""
    yield (
        f"{document.baseline}: recorded session {document.sessions} for machines like this one, "
        f"{document.head.title}, {counted(len(document.rows), 'row')}"
    )
    yield _missing_sessions(document.sessions)


def baseline_summary(document: BaselineSummary) -> Iterator[RenderableType]:
    """The sessions of machines like this one, their rows, the changes of level, and a line for each other machine."""
    yield Text(f"{document.baseline}: sessions recorded on machines like this one", style="bold")
    yield from document.sessions or ["none"]
    yield ""
    if document.rows:
        table = tables.plain("row", "sessions", "time", "anchor", "window", "speedup", "accepted", left=1)
        for row in document.rows:
            table.add_row(
                row.row,
                str(row.sessions),
                tables.duration(row.seconds),
                tables.number(row.anchor),
                str(row.window or tables.NONE),
                tables.interval(row.speedup),
                tables.NONE if row.accepted == 1 else f"× {tables.number(row.accepted)}",
            )
        yield table
        yield Paragraph(LEGEND)
        yield ""
    yield from (tables.item(_change(change)) for change in document.changes)
    if document.changes:
        yield ""
    yield _missing_sessions(len(document.sessions))
    for other in document.other_machines:
        cpu, python, numpy, numba = (other.get(key, "unknown") for key in ("cpu", "python", "numpy", "numba"))
        sessions = counted(other["sessions"], "session")
        yield f"another machine, {sessions}: {cpu}, Python {python}, NumPy {numpy}, Numba {numba}"


def accepted(document: BaselineAcceptance, sessions: int, losses: bool) -> Iterator[RenderableType]:
    """What was accepted, and how many sessions a verdict still needs; ``losses`` says whether losses were wanted."""
    for row in document.rows:
        title = f"{row.backend}, {row.operation} {'-'.join(map(str, row.layer_sizes))}"
        if row.factor > 1:
            yield f"{title}: at least {in_percent(row.factor - 1, 1)} faster; the anchor now includes this gain"
        else:
            yield f"{title}: the anchor now is {in_percent(1 - row.factor, 1)} lower, and a new window begins"
    if not document.rows:
        change = "faster or slower" if losses else "faster"
        yield f"no row is significantly {change} in two sessions; the baseline is unchanged"
    if sessions <= MIN_SESSIONS:
        yield _missing_sessions(sessions)


def _change(change: LevelChange) -> str:
    kind = "faster" if change.factor > 1 else "slower"
    amount = in_percent(abs(change.factor - 1), 1)
    return f"{change.row}: {amount} {kind} from session {change.session} on ({change.started}, {change.head})"


def _missing_sessions(sessions: int) -> str:
    missing = MIN_SESSIONS - sessions
    if missing <= 0:
        return "there are enough sessions for a verdict"
    return f"a verdict needs {counted(missing, 'more session')}"
