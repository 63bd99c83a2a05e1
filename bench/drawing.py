"""What all pictures share: SVG, transparent, in tones that are legible on white paper and on a dark page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib import pyplot
from matplotlib.figure import Figure

INK = "#767676"
TONES = ("#2a7fc9", "#cf651c", "#25926b")
DASHES = ("-", "--", ":")
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "savefig.transparent": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "mlpbench",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def save(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure into the folder and close it; its bytes depend on nothing but what is drawn."""
    path = folder / f"{name}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Title": name})
    pyplot.close(figure)
    return path
