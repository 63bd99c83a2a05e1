"""The picture of ``scale``: time and speedup against width, depth and batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any

from matplotlib import pyplot, rc_context
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, NullLocator

from bench.records.scale_schema import ScaleRow
from bench.report import drawing
from bench.report.drawing import DASHES, INK, STYLE, TONES
from bench.scale import points
from bench.scale.points import Dimension
from bench.selection import REFERENCE
from pairbench.measure import AA_CONTROL
from pairbench.visible_text import visible

NAME = "scale"
LABEL_HEIGHT = 0.085
"""Height of a label, as a share of the height of a panel."""

LINE_STYLES = {
    "python_loops": (TONES[0], "-", ""),
    "python_loops_ndarray": (TONES[0], "--", ""),
    "numpy_vectorized": (TONES[1], "-", ""),
    "numpy_plain": (TONES[1], "--", ""),
    "graph": (TONES[1], ":", ""),
    "numba_simd": (TONES[2], "-", ""),
    "numba_jit": (TONES[2], "-.", ""),
    "numba_plain": (TONES[2], "--", ""),
}
"""Tone, dash and marker of each core backend. A technique has one tone; its most optimized backend has a solid line."""

OTHERS = [(INK, dash, marker) for marker, dash in product("os^D", DASHES)]
"""Tone, dash and marker of further backends, in the order of use."""


def draw_scale(rows: Sequence[ScaleRow], names: Sequence[str], folder: Path) -> Path:
    """Draw ``scale.svg`` into the folder, and return its path. Raises RecordError if it cannot be written."""
    others = iter(OTHERS * len(names))
    styles = {name: LINE_STYLES.get(name) or next(others) for name in names}
    with rc_context(STYLE):
        figure, axes = pyplot.subplots(2, len(points.DIMENSIONS), figsize=(8.4, 4.8), sharex="col", sharey="row")
        for column, dimension in enumerate(points.DIMENSIONS):
            dimension_rows = [row for row in rows if row.dimension == dimension.name and row.arm != AA_CONTROL]
            for name, style in styles.items():
                backend_rows = [row for row in dimension_rows if row.backend == name]
                _time(axes[0, column], backend_rows, name, style)
                _speedup(axes[1, column], backend_rows, name, style)
            _scales(axes[:, column], dimension)
        axes[0, 0].set_ylabel("time per call")
        axes[1, 0].set_ylabel(f"speedup over {REFERENCE}")
        for panel in axes[:, -1]:
            _label_lines(panel)
        return drawing.save_figure(figure, folder, NAME)


def _time(axes: Any, rows: Sequence[ScaleRow], name: str, style: tuple[str, str, str]) -> None:
    tone, dash, marker = style
    timed = [(row.value, row.seconds) for row in rows if row.seconds is not None]
    axes.plot(*_columns(timed), color=tone, linestyle=dash, marker=marker, markersize=3, label=name if timed else None)
    predicted = [(row.value, row.predicted_seconds) for row in rows if row.predicted_seconds is not None]
    axes.plot(*_columns(predicted), "x", color=tone, markersize=4)


def _speedup(axes: Any, rows: Sequence[ScaleRow], name: str, style: tuple[str, str, str]) -> None:
    tone, dash, marker = style
    timed = [(row.value, row.speedup) for row in rows if row.speedup is not None]
    values = [value for value, _ in timed]
    estimates, label = [s.estimate for _, s in timed], name if timed else None
    axes.plot(values, estimates, color=tone, linestyle=dash, marker=marker, markersize=3, label=label)
    low, high = (
        [s.estimate if end is None else end for s, end in ((s, getattr(s, key)) for _, s in timed)]
        for key in ("low", "high")
    )
    axes.fill_between(values, low, high, color=tone, alpha=0.2, linewidth=0)


def _label_lines(axes: Any) -> None:
    """Write the name of each line right of its end, moved up or down where names would overlap."""
    ends = [(line, line.get_xydata()[-1]) for line in axes.get_lines() if not line.get_label().startswith("_")]
    low, high = axes.get_ylim()
    height = log(high / low)
    places = [log(y / low) / height for _, (_, y) in ends]
    for (line, end), place in zip(ends, spread(places, LABEL_HEIGHT), strict=True):
        axes.annotate(
            visible(line.get_label()),
            end,
            (1.06, place),
            textcoords="axes fraction",
            va="center",
            color=line.get_color(),
            arrowprops={"arrowstyle": "-", "color": line.get_color(), "linewidth": 0.5, "relpos": (0, 0.5)},
        )


def spread(places: Sequence[float], distance: float) -> list[float]:
    """Move places apart until any two are at least ``distance`` from each other, as little as that needs.

    Places that touch form a group, which lies around the mean of where its members would be.
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    groups: list[list[int]] = []
    for index in order:
        groups.append([index])
        while len(groups) > 1 and _start(groups[-1], places, distance) < (
            _start(groups[-2], places, distance) + len(groups[-2]) * distance
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    moved = list(places)
    for group in groups:
        for step, index in enumerate(group):
            moved[index] = _start(group, places, distance) + step * distance
    return moved


def _start(group: Sequence[int], places: Sequence[float], distance: float) -> float:
    return fmean(places[index] for index in group) - distance * (len(group) - 1) / 2


def _columns(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def _scales(axes: Sequence[Any], dimension: Dimension) -> None:
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    for panel, unit in zip(axes, (EngFormatter("s"), plain), strict=True):
        panel.set(xscale="log", yscale="log")
        panel.grid(color=INK, alpha=0.25, linewidth=0.5)
        panel.yaxis.set_major_formatter(unit)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_minor_locator(NullLocator())
    powers = [value for value in dimension.values if value.bit_count() == 1]
    axes[1].set_xlabel(dimension.name)
    axes[1].xaxis.set_major_locator(FixedLocator(powers[:: 1 + len(powers) // 6]))
    axes[1].xaxis.set_major_formatter(plain)
