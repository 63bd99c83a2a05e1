"""The picture of ``scale-out``: measured epochs, and the simulated speedup of larger clusters."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot
from matplotlib.ticker import EngFormatter, FuncFormatter

from bench.records.scale_out_schema import ScaleOut
from bench.report.drawing import DASHES, INK, STYLE, TONES, save_figure
from pairbench.visible_text import visible

NAME = "scale_out"


def draw_scale_out(document: ScaleOut, folder: Path) -> Path:
    """Draw the picture into the folder, and return its path. Raises RecordError."""
    with pyplot.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(8.4, 3.8))
        for place, method in enumerate(dict.fromkeys(row.method for row in document.rows)):
            timed = [(row.samples, row.seconds) for row in document.rows if row.method == method and row.seconds]
            tone, dash = TONES[place % len(TONES)], DASHES[place // len(TONES) % len(DASHES)]
            left.plot([x for x, _ in timed], [y for _, y in timed], dash, color=tone, marker="o", markersize=3)
            left.lines[-1].set_label(visible(method))
        left.set(xscale="log", yscale="log", xlabel="samples", ylabel="time of an epoch", title="measured")
        left.yaxis.set_major_formatter(EngFormatter("s"))
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=7)
        for place, samples in enumerate(dict.fromkeys(row.samples for row in document.simulated)):
            curve = [row for row in document.simulated if row.samples == samples]
            tone, dash = TONES[place % len(TONES)], DASHES[place // len(TONES) % len(DASHES)]
            right.plot([row.workers for row in curve], [row.speedup for row in curve], dash, color=tone)
            right.lines[-1].set_label(f"{samples:.0e} samples".replace("e+0", "e"))
        workers = sorted({row.workers for row in document.simulated})
        right.plot(workers, workers, color=INK, linewidth=0.6, label="ideal")
        right.set(xscale="log", yscale="log", xlabel="workers", ylabel="speedup over one process", title="simulated")
        right.legend(fontsize=7)
        for panel in (left, right):
            panel.grid(color=INK, alpha=0.25, linewidth=0.5)
            panel.minorticks_off()
        for axis in (left.xaxis, right.xaxis, right.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        return save_figure(figure, folder, NAME)
