"""The command ``report``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.commands import output
from bench.history import course
from bench.history.index import own_machine, read_index
from bench.page import sources
from bench.report import history_tables, terminal
from pairbench.cli.exit_codes import OK

FOLDER = "report"


def report(paths: Sequence[Path], *, results: Path) -> int:
    """Write the page of the given results files, or of the latest of each kind, and print its path."""
    with output.caller_input():
        chosen = paths or sources.latest(results)
        if not chosen:
            raise ValueError(f"there are no results in {results}; `mlpbench run` makes them")
        writing, courses = map(output.picture_module, ("bench.page.writing", "bench.page.courses"))
        rows = course.history_rows(read_index(results).files, None, own_machine())
        sentences = list(map(history_tables.sentence, course.changes(rows)))
        page = writing.write(results / FOLDER, sources.read(chosen), courses.history_points(rows), sentences)
    terminal.show(*(f"from: {path}" for path in chosen), f"page: {page}")
    return OK
