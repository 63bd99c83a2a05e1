"""The tables and sentences of the ``baseline`` commands."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from bench.records.gate_schema import BaselineAcceptance, BaselineSummary, RecordedSession
from bench.report import tables
from bench.wording import counted, in_percent
from pairbench.session_test import MIN_SESSIONS


def recorded(document: RecordedSession) -> Iterator[RenderableType]:
    """The recorded session, and how many sessions a verdict still needs."""
    yield (
        f"{document.baseline}: recorded session {document.sessions} for machines like this one, "
        f"{document.head.title}, {counted(len(document.rows), 'row')}"
    )
    yield _missing_sessions(document.sessions)


def baseline_summary(document: BaselineSummary) -> Iterator[RenderableType]:
    """The sessions of machines like this one, a table of their rows, and a line for each other kind of machine."""
    yield Text(f"{document.baseline}: sessions recorded on machines like this one", style="bold")
    yield from document.sessions or ["none"]
    yield ""
    if document.rows:
        table = tables.plain("row", "sessions", "time", "speedup", "accepted gains", left=1)
        for row in document.rows:
            accepted = tables.NONE if row.accepted == 1 else f"× {tables.number(row.accepted)}"
            seconds = tables.duration(row.seconds)
            table.add_row(row.row, str(row.sessions), seconds, tables.interval(row.speedup), accepted)
        yield table
        yield "speedup: mean of the sessions, with the 95 % prediction interval for the next."
        yield ""
    yield _missing_sessions(len(document.sessions))
    for other in document.other_machines:
        cpu, python, numpy, numba = (other.get(key, "unknown") for key in ("cpu", "python", "numpy", "numba"))
        sessions = counted(other["sessions"], "session")
        yield f"another machine, {sessions}: {cpu}, Python {python}, NumPy {numpy}, Numba {numba}"


def accepted(document: BaselineAcceptance, sessions: int) -> Iterator[RenderableType]:
    """The accepted gains, and how many sessions a verdict still needs."""
    for row in document.rows:
        title = f"{row.backend}, {row.operation} {'-'.join(map(str, row.layer_sizes))}"
        yield f"{title}: {in_percent(row.factor - 1, 1)} faster; the baseline now includes this gain"
    if not document.rows:
        yield "no row is significantly faster than its sessions predict; the baseline is unchanged"
    if sessions < MIN_SESSIONS:
        yield _missing_sessions(sessions)


def _missing_sessions(sessions: int) -> str:
    missing = MIN_SESSIONS - sessions
    if missing <= 0:
        return "there are enough sessions for a verdict"
    return f"a verdict needs {counted(missing, 'more session')}"
