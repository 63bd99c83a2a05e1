"""The picture of ``run``: speedups for one sample on a small and a larger network, from a results file.

``python -m bench.report.speedup_picture RESULTS.json FOLDER`` draws ``speedups.svg`` into the folder. RESULTS.json is
what ``mlpbench run`` stored, or the ``latest.json`` that names it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot, rc_context
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench import cases
from bench.records import files
from bench.records.files import RecordError
from bench.records.schema import Latest, Run, TimingRow
from bench.report import drawing, tables
from bench.report.drawing import INK, STYLE, TONES
from impls import Network

NAME = "speedups"
NETWORKS = ("3-3-1", "100-100-50-10")

ROOM = 30
"""The factor by which the axis goes on beyond the least and the greatest speedup."""

TECHNIQUES = {"python_": TONES[0], "numpy_": TONES[1], "numba_": TONES[2]}
"""A tone for how a backend's name begins; the others are in ink."""


def read_run(path: Path) -> Run:
    """The run in a results file, or in the one that ``latest.json`` names. Raises RecordError."""
    if path.name == files.LATEST:
        path = path.parent / files.read(path, Latest).file
    return files.read(path, Run)


def draw_speedups(run: Run, folder: Path) -> Path:
    """Draw the picture into the folder, and return its file. Raises RecordError."""
    panels = [(name, _rows(run, name)) for name in NETWORKS]
    most = max(len(rows) for _, rows in panels)
    with rc_context(STYLE):
        figure, axes = pyplot.subplots(len(panels), 1, figsize=(7.6, len(panels) * (0.9 + 0.26 * most)), sharex=True)
        for one, (name, rows) in zip(axes, panels, strict=True):
            _panel(one, rows)
            one.set_title(
                f"{cases.title('forward', Network.parse(name).layer_sizes, 1, 1, None)}, {rows[0].dtype}", loc="left"
            )
        _scale(axes, [row for _, rows in panels for row in rows])
        axes[-1].set_xlabel(
            f"speedup: time of {rows[0].reference} ÷ time of the backend, logarithmic axis; right of 1 is faster\n"
            "in brackets and as whiskers: 95 % confidence interval"
        )
        return drawing.save_figure(figure, folder, NAME)


def _rows(run: Run, network: str) -> list[TimingRow]:
    """The rows of the forward pass of one sample, in the run's first dtype, without the A/A control.

    Raises RecordError where there are none.
    """
    sizes = list(Network.parse(network).layer_sizes)
    found = [
        row
        for row in run.rows
        if (row.layer_sizes, row.operation, row.batch) == (sizes, "forward", 1) and row.arm == row.backend
    ]
    rows = [row for row in found if row.dtype == found[0].dtype]
    if not any(row.speedup for row in rows):
        raise RecordError(f"the run has no speedups for the forward pass of one sample on {network}")
    return rows


def _panel(axes: Any, rows: Sequence[TimingRow]) -> None:
    """A point for each backend with a line from 1, whose length on this axis is the logarithm of the speedup."""
    axes.axvline(1, color=INK, linewidth=0.8)
    for place, row in enumerate(rows):
        tone = next((tone for prefix, tone in TECHNIQUES.items() if row.backend.startswith(prefix)), INK)
        estimate, low, high = _ends(row)
        if estimate is None:
            axes.annotate("no time", (1, place), (4, 0), textcoords="offset points", va="center")
            continue
        axes.plot([1, estimate], [place, place], color=tone, alpha=0.4, linewidth=3, solid_capstyle="butt")
        axes.errorbar(
            [estimate],
            [place],
            xerr=[[estimate - low], [high - estimate]],
            fmt="o",
            color=tone,
            markersize=4,
            capsize=3,
        )
        left = estimate < 1
        axes.annotate(
            _label(row),
            (low if left else high, place),
            (-6 if left else 6, 0),
            textcoords="offset points",
            va="center",
            ha="right" if left else "left",
        )
    axes.set_yticks(range(len(rows)), [row.arm for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)  # the first row is on top


def _ends(row: TimingRow) -> tuple[float | None, float, float]:
    """Estimate and interval of a row; of the reference 1."""
    if row.speedup is None:
        return (1.0 if row.arm == row.reference and row.ok else None), 1.0, 1.0
    estimate = row.speedup.estimate
    low, high = (estimate if end is None else end for end in (row.speedup.low, row.speedup.high))
    return estimate, low, high


def _label(row: TimingRow) -> str:
    return "1, the reference" if row.speedup is None or row.arm == row.reference else tables.interval(row.speedup)


def _scale(axes: Sequence[Any], rows: Sequence[TimingRow]) -> None:
    """A logarithmic axis with room for the labels at both ends."""
    estimates = [1.0, *(row.speedup.estimate for row in rows if row.speedup is not None)]
    for one in axes:
        one.set(xscale="log", xlim=(min(estimates) / ROOM, max(estimates) * ROOM))
        one.grid(axis="x", color=INK, alpha=0.25, linewidth=0.5)
        one.set_axisbelow(True)
        one.xaxis.set_major_locator(LogLocator(10))
        one.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        one.xaxis.set_minor_locator(NullLocator())


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the picture that a command line asks for, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.report.speedup_picture", description="Draw speedups.svg.")
    parser.add_argument("results", type=Path, metavar="RESULTS.json", help="a file of `mlpbench run`, or latest.json")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where speedups.svg goes")
    arguments = parser.parse_args(argv)
    try:
        files.make_folder(arguments.folder)
        path = draw_speedups(read_run(arguments.results), arguments.folder)
    except RecordError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
