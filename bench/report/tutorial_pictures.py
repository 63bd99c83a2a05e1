"""The pictures of the tutorials, as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import networkx
import numpy as np
from matplotlib import pyplot, rc_context
from matplotlib.figure import Figure

import impls
from bench.report import drawing
from bench.report.drawing import DASHES, INK, STYLE, TONES
from bench.tutorials import circles, datasets, feedforward, miniflow, xor
from bench.tutorials.programs import RunsBySeed
from bench.tutorials.reproduce import COMPARISON_BACKEND
from impls import Array, Network
from impls.graph import Input, topological_sort

AllRuns = Mapping[tuple[str, str], RunsBySeed]
"""Runs of the comparison backend, by key of the tutorial and name of the program."""


def draw(runs: AllRuns, folder: Path) -> list[Path]:
    """Draw the pictures of the tutorials in ``runs``, and return their paths. Raises RecordError."""
    tutorials = {key for key, _ in runs}
    paths = []
    with rc_context(STYLE):
        for name, (key, painter) in PICTURES.items():
            if key in tutorials:
                paths.append(drawing.save_figure(painter(runs), folder, name))
    return paths


def _axes(width: float = 3.6, height: float = 2.5, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    return pyplot.subplots(1, columns, figsize=(width, height), **options)


def _sigmoids(parameters: Mapping[str, tuple[float, float]]) -> Figure:
    """Curves of a sigmoid node's output, one for each pair of weight and bias."""
    x = np.arange(-8, 8.05, 0.1)
    figure, axes = _axes()
    for (label, (w, b)), tone, dash in zip(parameters.items(), TONES, DASHES, strict=False):
        model = impls.load(COMPARISON_BACKEND).build(Network((1, 1)), [([[w]], [b])])
        axes.plot(x, model.forward(x.reshape(-1, 1)), color=tone, linestyle=dash, label=label)
    axes.set(xlabel="x", ylabel="output", xticks=range(-8, 9, 4))
    if len(parameters) > 1:
        axes.legend()
    return figure


def _sigmoid(runs: AllRuns) -> Figure:
    return _sigmoids({"": (1, 0)})


def _slopes(runs: AllRuns) -> Figure:
    return _sigmoids({f"w = {w:g}": (w, 0) for w in (0.5, 1, 2)})


def _shifts(runs: AllRuns) -> Figure:
    return _sigmoids({f"b = {b:g}".replace("-", "−"): (5, b) for b in (-8, 0, 8)})


def _digit(runs: AllRuns) -> Figure:
    """A held-out image, and the outputs of the network of seed 0 for it."""
    split = datasets.split_digits(0)
    outputs = runs["feedforward", feedforward.TRAINING][0].model.forward(split.X_test[0])
    figure, (left, right) = _axes(4.2, 2.2, 2, width_ratios=(1, 1.4))
    left.imshow(split.images_test[0].reshape(8, 8), cmap="Greys", interpolation="nearest")
    left.spines[["right", "top"]].set_visible(True)
    left.set(xticks=[], yticks=[], xlabel=f"held out, a {split.classes_test[0]}")
    right.barh(range(10), outputs, color=[TONES[1] if output == outputs.max() else TONES[0] for output in outputs])
    right.set(xlim=(0, 1), yticks=range(10), xlabel="output", ylabel="digit")
    right.invert_yaxis()
    return figure


def _cost(runs: AllRuns) -> Figure:
    """Mean norm of the error by iteration: median and range over the seeds."""
    curves = [run.watched for run in runs["feedforward", feedforward.TRAINING].values()]
    stops = sorted(curves[0])
    costs = np.array([[curve[stop] for stop in stops] for curve in curves])
    figure, axes = _axes()
    axes.fill_between(stops, costs.min(axis=0), costs.max(axis=0), color=TONES[0], alpha=0.35, linewidth=0)
    axes.plot(stops, np.median(costs, axis=0), color=TONES[0])
    axes.set(xlabel="iteration", ylabel="mean norm of the error", ylim=(0, None))
    return figure


def _points(runs: AllRuns) -> Figure:
    X, Y = datasets.circles()
    figure, axes = _axes(2.8, 2.8)
    for label, tone, marker in ((0, TONES[0], "o"), (1, TONES[1], "^")):
        # Rasterized: a thousand markers would make a large file.
        axes.plot(*X[Y[:, 0] == label].T, marker, color=tone, markersize=2.5, rasterized=True)
    axes.set(aspect="equal", xlabel="x₁", ylabel="x₂")
    return figure


def _trace(runs: AllRuns) -> Figure:
    run = runs["circles", circles.TRAINING][circles.SEED]
    figure, (left, right) = _axes(5.6, 2.3, 2)
    left.plot(run.losses, color=TONES[0])
    left.set(xlabel="iteration", ylabel="summed loss")
    right.plot(*zip(*sorted(run.watched.items()), strict=True), color=TONES[1])
    right.set(xlabel="iteration", ylabel="accuracy", ylim=(0.45, 1))
    return figure


def _loss(runs: AllRuns) -> Figure:
    losses = next(by_seed[0].losses for (_, name), by_seed in runs.items() if name.startswith(miniflow.TRAINING))
    figure, axes = _axes()
    axes.plot(range(1, len(losses) + 1), losses, color=TONES[0])
    axes.set(xlabel="epoch", ylabel="mean loss", ylim=(0, None))
    return figure


def _graph(runs: AllRuns) -> Figure:
    """The nodes of the regression's graph. Each node is in the column before its first consumer."""
    order = topological_sort(miniflow.nodes())
    edges = networkx.DiGraph([(source.name, node.name) for node in order for source in node.inputs])
    # networkx would order a column by the hashes of the names, which differ from process to process.
    layers = {-layer: sorted(names) for layer, names in enumerate(networkx.topological_generations(edges.reverse()))}
    inputs = {node.name for node in order if isinstance(node, Input)}
    figure, axes = _axes(6.2, 2.6)
    networkx.draw_networkx(
        edges,
        networkx.multipartite_layout(edges, subset_key=layers),
        ax=axes,
        node_color="none",
        edgecolors=[INK if name in inputs else TONES[1] for name in edges],
        linewidths=1.4,
        node_size=1900,
        font_size=8,
        font_color=INK,
        edge_color=INK,
        arrowsize=9,
    )
    axes.axis("off")
    axes.margins(0.08, 0.25)
    return figure


def _surface(runs: AllRuns) -> Figure:
    """Output of the network of seed 22 over the plane, the decision boundary, and the four samples."""
    model = runs["xor", xor.TRAINING][xor.SEED].model
    line = np.linspace(-0.25, 1.25, 61)
    grid: Array = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    figure, axes = _axes(3.4, 2.8)
    filled = axes.contourf(line, line, model.forward(grid).reshape(61, 61), levels=12, cmap="cividis")
    axes.contour(line, line, model.forward(grid).reshape(61, 61), levels=[0], colors="white", linestyles="--")
    figure.colorbar(filled, ax=axes, label="output")
    for (x1, x2), target in zip(xor.X, xor.Y[:, 0], strict=True):
        axes.plot(x1, x2, "os"[int(target)], color="white", markeredgecolor="black", markersize=7)
    axes.set(aspect="equal", xlabel="x₁", ylabel="x₂", xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    return figure


PICTURES: dict[str, tuple[str, Callable[[AllRuns], Figure]]] = {
    "feedforward-sigmoid": ("feedforward", _sigmoid),
    "feedforward-slopes": ("feedforward", _slopes),
    "feedforward-shifts": ("feedforward", _shifts),
    "feedforward-digit": ("feedforward", _digit),
    "feedforward-cost": ("feedforward", _cost),
    "circles-data": ("circles", _points),
    "circles-curves": ("circles", _trace),
    "miniflow-loss": ("miniflow", _loss),
    "miniflow-graph": ("miniflow", _graph),
    "xor-surface": ("xor", _surface),
}
"""By file name: the key of the tutorial, and the function that draws the picture."""
