"""Reproducing tutorials one after the other; each that is done is kept, so that an interrupted run can go on."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

from bench.checkpoint import source_digest
from bench.records.schema import TutorialsState
from bench.tutorials import reproduce
from bench.tutorials.programs import Tutorial
from bench.tutorials.reproduce import TutorialResults
from impls import Backend
from pairbench import machine
from pairbench.progress import Progress
from pairbench.worker_protocol import Effort


def settings(keys: Sequence[str], backends: Sequence[Backend], boston: bool, pictures: str | None) -> dict[str, Any]:
    """What a resumed run must share with the one that was interrupted: a JSON object."""
    return {
        "machine": machine.describe(),
        "sources": source_digest(backends),
        "tutorials": list(keys),
        "backends": [backend.name for backend in backends],
        "boston": boston,
        "pictures": pictures,
    }


def reproduce_tutorials(
    state: TutorialsState,
    tutorials: Sequence[Tutorial],
    backends: Sequence[Backend],
    effort: Effort,
    progress: Progress,
    save: Callable[[TutorialsState], None],
    finished: Callable[[TutorialResults], None],
) -> TutorialsState:
    """Reproduce the tutorials that the state does not have yet.

    ``save`` gets the state after each tutorial, and ``finished`` the tutorial's results, its training runs among them.
    """
    left = [tutorial for tutorial in tutorials if tutorial.key not in state.done]
    progress.start(reproduce.count_steps(left, backends))
    with redirect_stdout(sys.stderr):  # a backend that prints must not print into the results
        for tutorial in left:
            results = TutorialResults()
            reproduce.reproduce_tutorial(tutorial, backends, effort, progress, results)
            state = state.model_copy(
                update={
                    "done": [*state.done, tutorial.key],
                    "rows": [*state.rows, *results.rows],
                    "remarks": {**state.remarks, **results.remarks},
                    "unsupported": [*dict.fromkeys([*state.unsupported, *results.unsupported])],
                }
            )
            finished(results)
            save(state)
    return state
