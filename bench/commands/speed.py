"""The command ``speed``."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path

from bench import selection
from bench.case_measurement import DEFAULT_EFFORT, QUICK_EFFORT
from bench.checkpoint import Checkpoint
from bench.commands import output
from bench.records import files
from bench.records.header import header, now
from bench.records.speed_schema import CComparisonRecord, Speed, SpeedState
from bench.report import speed_page, terminal
from bench.report.contents import contents
from bench.speed import goal_rows, speed_run
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import FINDING


def speed(*, quick: bool, markdown: str | None, resume: bool, destinations: Destinations, results: Path) -> int:
    """Time the backends, print goals and times, store the results, and write the page."""
    checkpoint = Checkpoint(results, "speed", SpeedState, terminal.say)
    effort = QUICK_EFFORT if quick else DEFAULT_EFFORT
    with output.caller_input():
        chosen = selection.select_backends(peers=True)
        output.check_destinations(destinations, Speed, *(Path(path) for path in (markdown,) if path is not None))
        if markdown is not None:
            speed_page.check_page_destination(Path(markdown))
        files.make_folder(results)
        fresh = SpeedState(
            settings=speed_run.speed_settings(chosen.backends, effort), started=now(), seed=secrets.randbits(32)
        )
        state = checkpoint.begin(fresh, resume)
    with output.measuring(), checkpoint.resumable(), terminal.progress() as progress:
        state = speed_run.measure_speed(state, chosen.backends, effort, progress, checkpoint.save)
    document = Speed(
        **header("speed", state.started),
        options={"quick": quick},
        effort=asdict(effort),
        seed=state.seed,
        goals=goal_rows.goal_rows(state),
        rows=state.rows or [],
        roofline=state.roofline or [],
        c=state.c or CComparisonRecord(processes=[], reason=""),
        starts=state.starts or [],
        processes=state.processes or [],
    )

    def store() -> list[str]:
        lines = [f"results: {files.write_results(results, document)}"]
        checkpoint.clear()
        if markdown is not None:
            files.write_bytes(Path(markdown), speed_page.page(document, chosen.notes()).encode())
            lines.append(f"page: {markdown}")
        return lines

    output.store_and_show(store, document, destinations, contents(document), chosen.notes())
    return FINDING if chosen.broken else output.status(document.rows)
