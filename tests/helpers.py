"""Helpers for several test files: the project's folder, a minimal effort, child processes, rows of tables."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.main import console, main
from bench.records import schema
from pairbench.visible_text import one_line
from pairbench.worker_protocol import Effort

ROOT = Path(__file__).parents[1]
TINY = Effort(processes=2, seconds_per_arm=0.004, max_blocks=2, slow_call_seconds=1, slow_processes=1, compile=False)
"""An effort so small that a command ends at once. The times mean nothing."""
ONE_PROCESS = replace(TINY, processes=1)
FEWER_PLUGINS = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest")
"""Options for child processes with pytest. Hypothesis would be imported, which takes longer than such a test."""


class CountedProgress:
    """Progress that prints nothing and counts its steps."""

    steps = done = 0

    def start(self, steps):
        self.steps, self.done = steps, 0

    def stage(self, text, seconds_left=None):
        pass

    def advance(self):
        self.done += 1


def python(*arguments, **options):
    """Run a fresh interpreter, in the project's folder unless ``cwd`` is given, and return the completed process."""
    captured = {"capture_output": True, "text": True, "check": False, "cwd": ROOT}
    return subprocess.run([sys.executable, *map(str, arguments)], **captured | options)


def set_quick_effort(patch, effort):
    """Let ``--quick`` stand for an effort in the commands of this process that time backends."""
    for command in ("run", "compare"):
        patch.setattr(f"bench.commands.{command}.QUICK_EFFORT", effort)


def run_with_tiny_effort():
    """Run the command line of this process; ``--quick`` stands for one process with the least effort."""
    set_quick_effort(pytest.MonkeyPatch(), ONE_PROCESS)
    console()


TINY_EFFORT = (sys.executable, "-c", "from tests.helpers import run_with_tiny_effort as run; run()")
"""The command ``mlpbench`` whose ``--quick`` takes the least effort, for tests of its process."""


def environment_without_xdist():
    """The environment without the variables of pytest-xdist, under which pytest-benchmark does not measure."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}


def one_line_error(capsys, *arguments, status=2):
    """Run a command line that must fail with ``status`` and a one-line error, and return that line."""
    assert main(arguments) == status
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("mlpbench: ")
    assert "Traceback" not in line
    return line


def assert_one_line(text):
    assert text == one_line(text)
    assert "Traceback" not in text


def timing_row(**changes):
    """A row of a table of times, by default of numpy_plain, with changed fields."""
    fields = {
        "backend": "numpy_plain",
        "arm": "numpy_plain",
        "reference": "python_loops",
        "layer_sizes": [3, 3, 1],
        "hidden": "sigmoid",
        "output": "sigmoid",
        "loss": "half_squared_error",
        "operation": "forward",
        "batch": 1,
        "dtype": "float64",
        "threads": 1,
        "epochs": 1,
        "batches": None,
        "seconds": 1e-6,
        "speedup": schema.Ratio(estimate=2.0, low=1.9, high=2.1),
        "ulps": 0.5,
        "share": 0.1,
        "ok": True,
        "reason": "",
    }
    return schema.TimingRow(**(fields | changes))
