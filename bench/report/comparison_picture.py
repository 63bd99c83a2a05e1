"""The picture of ``mlpbench compare`` for results files: a point with its interval for each series and file."""

from __future__ import annotations

from pathlib import Path

from matplotlib import pyplot, rc_context
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from bench.records.comparison_schema import FileComparison
from bench.report import drawing
from bench.report.comparison_tables import decisive
from bench.report.drawing import INK, STYLE, TONES
from pairbench.visible_text import visible

MARKS = ("o", "s", "^", "D", "v", "P")
"""Marks of the files, so that the picture is readable without colour."""


def draw_comparison(document: FileComparison, folder: Path) -> Path:
    """Draw ``comparison.svg`` into the folder, and return its path. Raises RecordError."""
    series = list(dict.fromkeys(row.series for row in document.rows))
    others, (name_of, ratio_of) = document.files[1:], decisive(document.rows)
    with rc_context(STYLE):
        figure, axes = pyplot.subplots(figsize=(8.4, 1.3 + 0.24 * len(series) * max(1, len(others) / 2)))
        axes.axvline(1, color=INK, linewidth=0.8)
        for number, name in enumerate(others):
            offset = (number - (len(others) - 1) / 2) * 0.7 / len(others)
            pairs = [(row.series, ratio) for row in document.rows if row.file == name and (ratio := ratio_of(row))]
            estimates = [ratio.estimate for _, ratio in pairs]
            ends = [(ratio.low or ratio.estimate, ratio.high or ratio.estimate) for _, ratio in pairs]
            axes.errorbar(
                estimates,
                [series.index(key) + offset for key, _ in pairs],
                xerr=[
                    [estimate - low for estimate, (low, _) in zip(estimates, ends, strict=True)],
                    [high - estimate for estimate, (_, high) in zip(estimates, ends, strict=True)],
                ],
                fmt=MARKS[number % len(MARKS)],
                color=TONES[number % len(TONES)],
                markersize=4,
                capsize=2,
                label=visible(name),
            )
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_yticks(range(len(series)), list(map(visible, series)))
        axes.set_ylim(len(series) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"{name_of}, with 95 % intervals\nabove 1×, faster than {visible(document.files[0])}")
        if len(others) > 1:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
        return drawing.save_figure(figure, folder, "comparison")
