"""The recordings from which the gate's error rates are computed: what each of them measures."""

from __future__ import annotations

from dataclasses import dataclass

from bench.cases import Case
from bench.gate.neutral_edits import EDITS
from bench.gate.row_plans import BackendCase
from impls import Network
from pairbench.round_effort import MAX_BLOCKS

TUTORIAL, LARGE = Network((3, 3, 1)), Network((100, 100, 50, 10))
USUAL_ROW = BackendCase("numba_simd", Case(LARGE, "forward", 1))


@dataclass(frozen=True)
class RecordedRow:
    """What a recording measures.

    ``edit``: the neutral edit of the head's sources, None without one. ``has_delays``: whether the head is also timed
    with planted delays. ``loaded``: whether other processes keep CPUs busy meanwhile. ``blocks``: number of blocks in a
    round.
    """

    row: BackendCase
    edit: str | None = None
    has_delays: bool = False
    loaded: bool = False
    blocks: int = 30


@dataclass(frozen=True)
class SimulatedGate:
    """A gate that is simulated from a recording. ``rows``: number of its rows, of which one is recorded.

    ``budget``: seconds, None for that of the command.
    """

    rows: int
    threshold: float = 0.05
    budget: float | None = None


GROUPS = {
    "idle": {"idle": RecordedRow(USUAL_ROW, has_delays=True)},
    "loaded": {"loaded": RecordedRow(USUAL_ROW, has_delays=True, loaded=True)},
    "slow": {"slow": RecordedRow(BackendCase("python_loops", Case(LARGE, "forward", 1)))},
    "fast": {"fast": RecordedRow(BackendCase("numba_simd", Case(TUTORIAL, "forward", 1)))},
    "fine": {"fine": RecordedRow(USUAL_ROW, blocks=MAX_BLOCKS)},
    "edits": {f"edit-{number}": RecordedRow(USUAL_ROW, edit) for number, edit in enumerate(EDITS, 1)},
}
"""The recordings that are made and scored together, by the name of the group and of the recording."""

DEFAULT_ROWS = 24
"""Rows of a default gate: eight core backends at three cases, which share the permitted error probability."""
USUAL_GATES = (SimulatedGate(1), SimulatedGate(DEFAULT_ROWS))
LOW_THRESHOLDS = (SimulatedGate(1, 0.02, 30.0), SimulatedGate(1, 0.01, 120.0))


def simulated_gates(group: str) -> tuple[SimulatedGate, ...]:
    """The gates that are simulated from a group of recordings."""
    return LOW_THRESHOLDS if group == "fine" else USUAL_GATES
