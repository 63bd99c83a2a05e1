"""What the ``baseline`` commands print."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from bench.records.gate_schema import BaselineAcceptance, BaselineSummary, RecordedSession
from bench.report import tables
from pairbench.sequential_test import MIN_SESSIONS


def recorded(document: RecordedSession) -> Iterator[RenderableType]:
    """What was recorded, and how many sessions a verdict still needs."""
    yield (
        f"{document.baseline}: session {document.sessions} of machines like this one, {document.head.title}, "
        f"{len(document.rows)} rows"
    )
    yield _sessions_left(document.sessions)


def summary(document: BaselineSummary) -> Iterator[RenderableType]:
    """The sessions of machines like this one, row by row, and those of other machines."""
    yield Text(f"{document.baseline}: sessions of machines like this one", style="bold")
    yield from document.sessions or ["none"]
    yield ""
    if document.rows:
        table = tables.plain("row", "sessions", "time", "speedup", "accepted gains", left=1)
        for row in document.rows:
            accepted = tables.NONE if row.accepted == 1 else f"× {tables.number(row.accepted)}"
            seconds = tables.duration(row.seconds)
            table.add_row(row.row, str(row.sessions), seconds, tables.interval(row.speedup), accepted)
        yield table
        yield "speedup: mean over the sessions, with the 95 % interval predicted for the next."
        yield ""
    yield _sessions_left(len(document.sessions))
    for other in document.other_machines:
        libraries = f"Python {other['python']}, NumPy {other['numpy']}, Numba {other['numba']}"
        yield f"another machine, {other['sessions']} sessions: {other['cpu']}, {libraries}"


def accepted(document: BaselineAcceptance, sessions: int) -> Iterator[RenderableType]:
    """Which gains were accepted."""
    for row in document.rows:
        title = f"{row.backend}, {row.operation} {'-'.join(map(str, row.layer_sizes))}"
        yield f"{title} is {row.factor - 1:.1%} faster: the baseline is moved."
    if not document.rows:
        yield "no row is significantly faster than its sessions predict: the baseline stays as it is"
    if sessions < MIN_SESSIONS:
        yield _sessions_left(sessions)


def _sessions_left(sessions: int) -> str:
    left = max(0, MIN_SESSIONS - sessions)
    return f"a verdict needs {left} more sessions" if left else "there are enough sessions for a verdict"
