"""The picture of the gate's operating curves: the share of gates with each verdict against the true slowdown."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from matplotlib import pyplot, rc_context
from matplotlib.ticker import FuncFormatter

from bench.gate.error_rates import VERDICTS
from bench.records.error_rate_schema import ErrorRates
from bench.report import drawing
from bench.report.drawing import INK, STYLE, TONES
from pairbench.wording import in_percent


def draw_operating_curves(document: ErrorRates, folder: Path) -> Path:
    """Draw ``operating_curve.svg`` into the folder, and return its path. Raises RecordError.

    There is a chart for each recording and number of rows. Slowdowns of a part of the processes are left out.
    """
    names = list(dict.fromkeys(point.recording for point in document.curve))
    counts = list(dict.fromkeys(point.rows for point in document.curve))
    with rc_context(STYLE):
        size = (1 + 3 * len(counts), 0.6 + 2.1 * len(names))
        figure, grid = pyplot.subplots(
            len(names), len(counts), figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
        )
        for axes, (name, rows) in zip(grid.flat, product(names, counts), strict=True):
            points = [p for p in document.curve if (p.recording, p.rows, p.share) == (name, rows, 1)]
            axes.axvline(100 * document.threshold, color=INK, linewidth=0.8, linestyle=":")
            for verdict, tone, style in zip(VERDICTS, TONES, ("-", "--", "-."), strict=False):
                rates = [point.rates[verdict] for point in points]
                places = [100 * point.slowdown for point in points]
                axes.plot(places, [100 * rate.count / rate.runs for rate in rates], style, color=tone, label=verdict)
                axes.fill_between(
                    places, [100 * r.low for r in rates], [100 * r.high for r in rates], color=tone, alpha=0.2, lw=0
                )
            axes.set_title(f"{name}, {'1 row' if rows == 1 else f'one of {rows} rows'}", fontsize="medium")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        figure.supxlabel(f"true slowdown in %, threshold {in_percent(document.threshold)}", fontsize="medium")
        figure.supylabel("gates with the verdict in %", fontsize="medium")
        figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=len(VERDICTS))
        return drawing.save_figure(figure, folder, "operating_curve")
