"""Style and output of all pictures: transparent SVG in tones that are legible on white paper and on a dark page."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import pyplot
from matplotlib.figure import Figure

from bench.records import files

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
    "text.parse_math": False,  # a name with two $ is no formula
    "xtick.color": INK,
    "ytick.color": INK,
}


def save_figure(figure: Figure, folder: Path, name: str) -> Path:
    """Write a figure as SVG, atomically, and close it. Equal figures give equal bytes.

    Raises RecordError if the file cannot be written.
    """
    content = BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Title": name})
    pyplot.close(figure)
    path = folder / f"{name}.svg"
    files.write_bytes(path, content.getvalue())
    return path
