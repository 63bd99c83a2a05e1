"""The picture of the gate's operating curves: the share of gates with each verdict against the true slowdown."""

from __future__ import annotations

from itertools import groupby
from math import ceil
from operator import attrgetter
from pathlib import Path

from matplotlib import pyplot, rc_context
from matplotlib.ticker import FuncFormatter

from bench.gate.error_rates import VERDICTS
from bench.records.error_rate_schema import ErrorRates
from bench.report import drawing
from bench.report.drawing import INK, STYLE, TONES
from pairbench.wording import in_percent

CURVE = ("recording", "rows", "threshold")
COLUMNS = 2


def draw_operating_curves(document: ErrorRates, folder: Path) -> Path:
    """Draw ``operating_curve.svg`` into the folder, and return its path. Raises RecordError.

    There is a chart for each recording and simulated gate. Slowdowns of a part of the processes are left out.
    """
    curves = [(key, list(points)) for key, points in groupby(document.curve, attrgetter(*CURVE))]
    with rc_context(STYLE):
        lines = ceil(len(curves) / COLUMNS)
        figure, grid = pyplot.subplots(
            lines, COLUMNS, figsize=(7, 0.6 + 2.3 * lines), sharey=True, squeeze=False, layout="constrained"
        )
        for axes, ((name, rows, threshold), all_points) in zip(grid.flat, curves, strict=False):
            points = [point for point in all_points if point.share == 1]
            axes.axvline(100 * threshold, color=INK, linewidth=0.8, linestyle=":")
            for verdict, tone, style in zip(VERDICTS, TONES, ("-", "--", "-."), strict=False):
                rates = [point.rates[verdict] for point in points]
                places = [100 * point.slowdown for point in points]
                axes.plot(places, [100 * rate.count / rate.runs for rate in rates], style, color=tone, label=verdict)
                axes.fill_between(
                    places, [100 * r.low for r in rates], [100 * r.high for r in rates], color=tone, alpha=0.2, lw=0
                )
            gate = f"{'1 row' if rows == 1 else f'one of {rows} rows'}, threshold {in_percent(threshold)}"
            axes.set_title(f"{name}, {gate}", fontsize="medium")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        for axes in grid.flat[len(curves) :]:
            axes.remove()
        figure.supxlabel("true slowdown in %", fontsize="medium")
        figure.supylabel("gates with the verdict in %", fontsize="medium")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(VERDICTS))
        return drawing.save_figure(figure, folder, "operating_curve")
