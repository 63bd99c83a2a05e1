"""Reproduces tutorials one after another, and saves the results of each, so that an interrupted run can resume."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.checkpoint import source_digest
from bench.records.tutorial_schema import TutorialsState
from bench.tutorials import reproduce
from bench.tutorials.programs import Tutorial
from bench.tutorials.reproduce import TutorialResults
from impls import Backend
from pairbench import machine
from pairbench.progress import Progress
from pairbench.visible_text import visible_prints
from pairbench.worker_protocol import Effort


def tutorial_settings(
    keys: Sequence[str], backends: Sequence[Backend], boston: bool, pictures: str | None
) -> dict[str, Any]:
    """Return the settings that a resumed run must share with the interrupted run, as a JSON object."""
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
    """Reproduce the tutorials that are missing in the state.

    After each tutorial, ``finished`` receives the tutorial's results with its training runs, and ``save`` the state.
    """
    remaining = [tutorial for tutorial in tutorials if tutorial.key not in state.done]
    progress.start(reproduce.count_steps(remaining, backends))
    with visible_prints():
        for tutorial in remaining:
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
