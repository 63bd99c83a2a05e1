"""The pictures of stored results: ``python -m bench.report.pictures RESULTS.json... FOLDER``.

It draws ``speedups.svg`` of a results file of ``mlpbench run``, or of ``latest.json``, which names the last one, and
``scale.svg`` and ``scale_out.svg`` of a results file of ``mlpbench scale`` and ``mlpbench scale-out``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import selection
from bench.records import files
from bench.records.files import RecordError
from bench.records.scale_out_schema import ScaleOut
from bench.records.scale_schema import Scale
from bench.records.schema import Latest, Run
from bench.report.scale_out_picture import draw_scale_out
from bench.report.scale_picture import draw_scale
from bench.report.speedup_picture import draw_speedups
from pairbench.visible_text import visible

PICTURED: Any = (Run, Scale, ScaleOut)
"""The kinds of documents that have a picture here."""


def read_results(path: Path) -> Run | Scale | ScaleOut:
    """Read a run, a growth or the results of ``scale-out`` from a results file, or the run that ``latest.json`` names.

    Raises RecordError if the file cannot be read or is neither.
    """
    if path.name == files.LATEST:
        path = path.parent / files.read(path, Latest).file
    results: Run | Scale | ScaleOut = files.read_one_of(path, PICTURED)
    return results


def draw(results: Run | Scale | ScaleOut, folder: Path) -> Path:
    """Draw the picture of the results into the folder, and return its path. Raises RecordError."""
    if isinstance(results, Run):
        return draw_speedups(results, folder)
    if isinstance(results, ScaleOut):
        return draw_scale_out(results, folder)
    names = selection.in_order(dict.fromkeys(row.backend for row in results.rows))
    return draw_scale(results.rows, names, folder)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw the pictures as the command line says, and return the exit status: 0, or 2 for wrong input."""
    parser = argparse.ArgumentParser(prog="python -m bench.report.pictures", description="Draw stored results.")
    parser.add_argument(
        "results",
        type=Path,
        nargs="+",
        metavar="RESULTS.json",
        help="of `mlpbench run`, `scale` or `scale-out`, or latest.json",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder to write the pictures to")
    arguments = parser.parse_args(argv)
    try:
        files.make_folder(arguments.folder)
        for path in arguments.results:
            print(visible(str(draw(read_results(path), arguments.folder))))
    except RecordError as error:
        print(f"{parser.prog}: {visible(str(error))}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
