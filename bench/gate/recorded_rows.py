"""The recordings from which the gate's error rates are computed: what each of them measures."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cases import Case
from bench.gate.neutral_edits import EDITS
from bench.gate.row_plans import BackendCase
from impls import Network

TUTORIAL, LARGE = Network((3, 3, 1)), Network((100, 100, 50, 10))
USUAL_ROW = BackendCase("numba_simd", Case(LARGE, "forward", 1))


@dataclass(frozen=True)
class RecordedRow:
    """What a recording measures.

    ``edit``: the neutral edit of the head's sources, None without one. ``has_delays``: whether the head is also timed
    with planted delays. ``loaded``: whether other processes keep CPUs busy meanwhile.
    """

    row: BackendCase
    edit: str | None = None
    has_delays: bool = False
    loaded: bool = False


GROUPS = {
    "idle": {"idle": RecordedRow(USUAL_ROW, has_delays=True)},
    "loaded": {"loaded": RecordedRow(USUAL_ROW, has_delays=True, loaded=True)},
    "slow": {"slow": RecordedRow(BackendCase("python_loops", Case(LARGE, "forward", 1)))},
    "fast": {"fast": RecordedRow(BackendCase("numba_simd", Case(TUTORIAL, "forward", 1)))},
    "edits": {f"edit-{number}": RecordedRow(USUAL_ROW, edit) for number, edit in enumerate(EDITS, 1)},
}
"""The recordings that are made and scored together, by the name of the group and of the recording."""
