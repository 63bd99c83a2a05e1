"""The command ``tutorials``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench import selection
from bench.case_measurement import QUICK_EFFORT
from bench.checkpoint import Checkpoint
from bench.commands import output
from bench.records.header import header, now
from bench.records.tutorial_schema import Tutorials, TutorialsState
from bench.report import terminal, tutorial_tables
from bench.report.layout import Paragraph
from bench.tutorials import datasets, registry, reproduce, resumable
from bench.tutorials.reproduce import TutorialResults
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING


def tutorials(
    keys: Sequence[str],
    *,
    backend: Sequence[str],
    peers: bool,
    boston: bool,
    pictures: str | None,
    resume: bool,
    destinations: Destinations,
    results: Path,
) -> int:
    """Run the tutorials, and compare every printed figure with the values that the backends compute."""
    checkpoint = Checkpoint(results, "tutorials", TutorialsState, terminal.say)
    drawn: list[Path] = []

    def draw(finished: TutorialResults) -> None:
        if pictures is not None:
            drawn.extend(drawing.draw(finished.runs, folder))

    with output.caller_input():
        chosen = registry.select_tutorials(keys, boston)
        selected = selection.select_backends(backend, peers)
        output.check_destinations(destinations, Tutorials)
        if pictures is not None:
            drawing = output.picture_module("bench.report.tutorial_pictures")
            folder = output.pictures_folder(pictures)
        if boston and all(tutorial.key != "miniflow" for tutorial in chosen):
            raise ValueError("--boston needs miniflow, which is not among the named tutorials")
        if boston:
            datasets.boston()
        backends = selected.including(reproduce.COMPARISON_BACKEND)
        keys_chosen = [tutorial.key for tutorial in chosen]
        fresh = TutorialsState(
            settings=resumable.tutorial_settings(keys_chosen, backends, boston, pictures),
            started=now(),
            done=[],
            rows=[],
            remarks={},
            unsupported=[],
        )
        state = checkpoint.begin(fresh, resume)
    with output.caller_input(), checkpoint.resumable(), terminal.progress() as progress:
        state = resumable.reproduce_tutorials(state, chosen, backends, QUICK_EFFORT, progress, checkpoint.save, draw)
    document = Tutorials(
        **header("tutorials", state.started),
        options={"keys": list(keys), "backend": list(backend), "peers": peers, "boston": boston},
        rows=state.rows,
        remarks=state.remarks,
    )
    names = [chosen_backend.name for chosen_backend in backends]
    notes = [
        *(Paragraph(f"left out: {text}") for text in state.unsupported),
        *selected.notes(),
        *tutorial_tables.score(state.rows),
        *tutorial_tables.figure_findings(state.rows),
    ]
    output.show(document, destinations, list(tutorial_tables.figures_and_times(chosen, names, document)), notes)
    checkpoint.clear()
    if pictures is not None:
        terminal.say(f"{len(drawn)} pictures in {folder}")
    return FINDING if selected.broken else output.status(document.rows)
