"""The command ``compare``: two backends, which are measured, or results files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psutil

from bench import comparison, selection, suite
from bench.arms import arms_of_case
from bench.case_measurement import DEFAULT_EFFORT, QUICK_EFFORT
from bench.commands import output
from bench.commands.case_options import CaseOptions
from bench.forecast import forecast
from bench.records import schema
from bench.records.comparison_schema import FileComparison
from bench.records.header import header, now
from bench.report import terminal
from bench.report.contents import contents
from bench.report.noise import noise_paragraphs
from pairbench.cli.destinations import Destinations
from pairbench.cli.exit_codes import OK


def compare_backends(
    a: str,
    b: str,
    *,
    quick: bool,
    chosen: CaseOptions,
    destinations: Destinations,
) -> int:
    """Time two backends against each other, and print the ratio of their times for each case."""
    with output.caller_input():
        if a == b:
            raise ValueError(f"{a} cannot be compared with itself; name two backends")
        output.check_threads(chosen.threads)
        chosen_cases = chosen.select()
        first, second = (selection.select_backends([name], dtype=chosen.dtype).backends[0] for name in (a, b))
        output.check_destinations(destinations, schema.Comparison)
    options = {
        "a": a,
        "b": b,
        "quick": quick,
        **chosen.record(),
    }
    effort = QUICK_EFFORT if quick else DEFAULT_EFFORT
    terminal.say(forecast([arms_of_case(case, first, [second]) for case in chosen_cases], effort, 0))
    with output.measuring(), terminal.progress() as progress:
        document = suite.compare_backends(chosen_cases, first, second, effort, options, progress)
    rows = document.rows
    notes = noise_paragraphs(rows, document.processes, psutil.cpu_count() or 1)
    output.show(document, destinations, contents(document), notes)
    return output.status(rows)


def compare_files(names: Sequence[str], *, pictures: str | None, destinations: Destinations) -> int:
    """Compare the first results file with each of the others, and print the ratio for each series."""
    started, folder = now(), Path()
    with output.caller_input():
        for name, count in Counter(str(Path(name).resolve()) for name in names).items():
            if count > 1:
                raise ValueError(f"{name} is named twice")
        if pictures is not None:
            drawing = output.picture_module("bench.report.comparison_picture")
            folder = output.pictures_folder(pictures)
        output.check_destinations(destinations, FileComparison, *map(Path, names))
        first, *others = [comparison.read_results(Path(name)) for name in names]
        rows = [row for other in others for row in comparison.compare_results(first, other)]
    order = list(first.series)
    document = FileComparison(
        **header("compare", started),
        files=list(names),
        differences=[text for other in others for text in comparison.machine_differences(first, other)],
        unmatched=[text for other in others for text in comparison.unmatched_series(first, other)],
        rows=sorted(rows, key=lambda row: order.index(row.series)),
    )

    def store() -> list[str]:
        return [] if pictures is None else [f"picture: {drawing.draw_comparison(document, folder)}"]

    output.store_and_show(store, document, destinations, contents(document), [])
    return OK
