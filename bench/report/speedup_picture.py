"""The picture of a ``run``: speedups for one sample, on a small and a larger network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import pyplot, rc_context
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.records.files import RecordError
from bench.records.schema import Run, TimingRow
from bench.report import drawing, tables
from bench.report.drawing import INK, STYLE, TONES
from impls import Network
from pairbench.visible_text import visible

NAME = "speedups"
NETWORKS = ("3-3-1", "100-100-50-10")

ROOM = 30
"""Factor by which the axis extends beyond the smallest and the largest speedup, for the labels."""

TECHNIQUES = {"python_": TONES[0], "numpy_": TONES[1], "numba_": TONES[2]}
"""Tone by prefix of the backend's name; other backends are drawn in INK."""


def draw_speedups(run: Run, folder: Path) -> Path:
    """Draw ``speedups.svg`` into the folder, and return its path.

    Raises RecordError if the run has no speedups on one of NETWORKS, or the file cannot be written.
    """
    panels = [_rows(run, name) for name in NETWORKS]
    most = max(map(len, panels))
    with rc_context(STYLE):
        figure, axes = pyplot.subplots(len(panels), 1, figsize=(7.6, len(panels) * (0.9 + 0.26 * most)), sharex=True)
        for panel, rows in zip(axes, panels, strict=True):
            _panel(panel, rows)
            panel.set_title(f"{tables.case_title(rows[0])}, {rows[0].dtype}", loc="left")
        _scale(axes, [row for rows in panels for row in rows])
        reference = visible(panels[0][0].reference)
        axes[-1].set_xlabel(
            f"speedup: time of {reference} ÷ time of the backend, logarithmic axis; above 1 is faster\n"
            "in brackets and as whiskers: 95 % confidence interval"
        )
        return drawing.save_figure(figure, folder, NAME)


def _rows(run: Run, network: str) -> list[TimingRow]:
    """The rows of the forward pass of one sample, in the run's first dtype, without the A/A control.

    Raises RecordError if none of them has a speedup.
    """
    sizes = list(Network.parse(network).layer_sizes)
    candidates = [
        row
        for row in run.rows
        if (row.layer_sizes, row.operation, row.batch) == (sizes, "forward", 1) and row.arm == row.backend
    ]
    rows = [row for row in candidates if row.dtype == candidates[0].dtype]
    if not any(row.speedup for row in rows):
        raise RecordError(f"the run has no speedups for the forward pass of one sample on {network}")
    return rows


def _panel(axes: Any, rows: Sequence[TimingRow]) -> None:
    """Draw a point for each backend, and a bar from 1 to the point."""
    axes.axvline(1, color=INK, linewidth=0.8)
    for place, row in enumerate(rows):
        tone = next((tone for prefix, tone in TECHNIQUES.items() if row.backend.startswith(prefix)), INK)
        estimate, low, high = _ends(row)
        if estimate is None:
            axes.annotate("not timed", (1, place), (4, 0), textcoords="offset points", va="center")
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
    axes.set_yticks(range(len(rows)), [visible(row.arm) for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)  # the first row is on top


def _ends(row: TimingRow) -> tuple[float | None, float, float]:
    """Estimate, low end and high end of a row's speedup; 1 for the reference, None without a time."""
    if row.speedup is None:
        return (1.0 if row.arm == row.reference and row.ok else None), 1.0, 1.0
    estimate = row.speedup.estimate
    low, high = (estimate if end is None else end for end in (row.speedup.low, row.speedup.high))
    return estimate, low, high


def _label(row: TimingRow) -> str:
    return "1, the reference" if row.speedup is None or row.arm == row.reference else tables.interval(row.speedup)


def _scale(axes: Sequence[Any], rows: Sequence[TimingRow]) -> None:
    """Set a logarithmic axis with room for the labels at both ends."""
    estimates = [1.0, *(row.speedup.estimate for row in rows if row.speedup is not None)]
    for panel in axes:
        panel.set(xscale="log", xlim=(min(estimates) / ROOM, max(estimates) * ROOM))
        panel.grid(axis="x", color=INK, alpha=0.25, linewidth=0.5)
        panel.set_axisbelow(True)
        panel.xaxis.set_major_locator(LogLocator(10))
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        panel.xaxis.set_minor_locator(NullLocator())
