"""The picture of random networks: ``python -m bench.report.random_networks_picture SEED COUNT FOLDER``.

It measures the cases of ``bench.speed.random_networks``, prints a line for each, the slowest first, and draws the
ratios over the widest layer and the batch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

from matplotlib import pyplot
from matplotlib.colors import LogNorm

from bench.records import files
from bench.records.files import RecordError
from bench.report import drawing, terminal
from bench.speed import random_networks
from bench.speed.random_networks import BACKENDS, RandomCase
from pairbench.visible_text import visible

MARKERS = {"forward": "o", "gradient": "s", "train": "^"}
NAME = "random_networks"
RATIOS = 0.25, 0.5, 1, 2, 4
"""Marks of the colours, from end to end; ratios beyond have the colour of the end."""
POWERS = 1, 10, 100, 1000


def describe(row: RandomCase) -> str:
    """One line: the ratio with its interval, and the case."""
    ratio, network = row.ratio, row.case.network
    return (
        f"{ratio.estimate:5.2f} [{ratio.low:.2f}, {ratio.high:.2f}]  {row.case.operation} {network}, "
        f"batch {row.case.batch}, {row.case.dtype}"
    )


def draw_ratios(rows: Sequence[RandomCase], folder: Path) -> Path:
    """Draw the ratios into the folder, one panel for each dtype, and return the path of the picture.

    A case that is slower, beyond its interval, has a black edge.
    """
    with pyplot.rc_context(drawing.STYLE):
        figure, panels = pyplot.subplots(1, 2, figsize=(8, 3.4), sharey=True)
        points: Any = None
        for axes, dtype in zip(panels, ("float64", "float32"), strict=True):
            for operation, marker in MARKERS.items():
                chosen = [row for row in rows if (row.case.operation, row.case.dtype) == (operation, dtype)]
                points = axes.scatter(
                    [row.widest for row in chosen],
                    [row.case.batch for row in chosen],
                    c=[row.ratio.estimate for row in chosen],
                    marker=marker,
                    norm=LogNorm(RATIOS[0], RATIOS[-1]),
                    cmap="RdBu",
                    edgecolors=["black" if row.is_slower else drawing.INK for row in chosen],
                    linewidths=[1.5 if row.is_slower else 0.3 for row in chosen],
                    label=operation,
                )
            axes.set(xscale="log", yscale="log", title=dtype, xlabel="nodes of the widest layer")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_ticks(POWERS, labels=map(str, POWERS))
            axes.minorticks_off()
        panels[0].set_ylabel("samples in the batch")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(MARKERS))
        bar = figure.colorbar(points, ax=panels)
        bar.set_label(" ÷ ".join(f"time of {name}" for name in BACKENDS), size=8)
        bar.set_ticks(RATIOS, labels=[*map(str, RATIOS)])
        bar.minorticks_off()
        return drawing.save_figure(figure, folder, NAME)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and draw as the command line says, and return the exit status: 0, or 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.report.random_networks_picture",
        description="Time numba_simd against numpy_vectorized on random networks, and draw random_networks.svg.",
    )
    parser.add_argument("seed", type=int, help="the same seed gives the same networks")
    parser.add_argument("count", type=int, help="number of networks")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder for the picture")
    arguments = parser.parse_args(argv)
    if arguments.count < 1:
        parser.error(f"count must be 1 or more, got {arguments.count}")
    try:
        files.make_folder(arguments.folder)
    except RecordError as error:
        print(f"{parser.prog}: {visible(str(error))}", file=sys.stderr)
        return 2
    random = Random(arguments.seed)
    rows = []
    for case, problem in islice(random_networks.random_problems(random), arguments.count):
        rows.append(random_networks.measure(case, problem, random))
    rows.sort(key=lambda row: row.ratio.estimate)
    slower = sum(row.is_slower for row in rows)
    lines = [*map(describe, rows), f"{len(rows) - slower} of {len(rows)} cases are not slower, beyond the interval"]
    terminal.write("".join(f"{visible(line)}\n" for line in lines))
    path = draw_ratios(rows, arguments.folder)
    terminal.write(f"{visible(str(path))}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
