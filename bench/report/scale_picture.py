"""The picture of ``scale``: time and speedup against width, depth and batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
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

NAME = "scale"

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
        figure, axes = pyplot.subplots(2, len(points.DIMENSIONS), figsize=(7.6, 4.8), sharex="col", sharey="row")
        for column, dimension in enumerate(points.DIMENSIONS):
            dimension_rows = [row for row in rows if row.dimension == dimension.name and row.arm != AA_CONTROL]
            for name, style in styles.items():
                backend_rows = [row for row in dimension_rows if row.backend == name]
                _time(axes[0, column], backend_rows, name, style)
                _speedup(axes[1, column], backend_rows, style)
            _scales(axes[:, column], dimension)
        axes[0, 0].set_ylabel("time per call")
        axes[1, 0].set_ylabel(f"speedup over {REFERENCE}")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
        return drawing.save_figure(figure, folder, NAME)


def _time(axes: Any, rows: Sequence[ScaleRow], name: str, style: tuple[str, str, str]) -> None:
    tone, dash, marker = style
    timed = [(row.value, row.seconds) for row in rows if row.seconds is not None]
    axes.plot(*_columns(timed), color=tone, linestyle=dash, marker=marker, markersize=3, label=name)
    predicted = [(row.value, row.predicted_seconds) for row in rows if row.predicted_seconds is not None]
    axes.plot(*_columns(predicted), "x", color=tone, markersize=4)


def _speedup(axes: Any, rows: Sequence[ScaleRow], style: tuple[str, str, str]) -> None:
    tone, dash, marker = style
    timed = [(row.value, row.speedup) for row in rows if row.speedup is not None]
    values = [value for value, _ in timed]
    axes.plot(values, [s.estimate for _, s in timed], color=tone, linestyle=dash, marker=marker, markersize=3)
    low, high = (
        [s.estimate if end is None else end for s, end in ((s, getattr(s, key)) for _, s in timed)]
        for key in ("low", "high")
    )
    axes.fill_between(values, low, high, color=tone, alpha=0.2, linewidth=0)


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
