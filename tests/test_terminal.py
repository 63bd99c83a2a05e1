"""Colours, progress and interruptions on a terminal."""

import io
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest
from rich.text import Text

from bench.report import tables, terminal
from tests.helpers import timing_row

RED = "\x1b[31m"
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def stream(monkeypatch):
    """A function that makes a stream of this kind both standard output and standard error."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")

    def replace(kind):
        made = kind()
        monkeypatch.setattr(sys, "stdout", made)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    return replace


@pytest.mark.parametrize(
    ("kind", "variables", "coloured"),
    [
        (Screen, {}, True),
        (Screen, {"NO_COLOR": "1"}, False),
        (Screen, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Screen, {"TERM": "dumb"}, False),
        (io.StringIO, {}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (io.StringIO, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colours_are_for_a_terminal_or_as_the_variables_say(kind, variables, coloured, stream, monkeypatch):
    out = stream(kind)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal.show(Text("wrong", style="red"))
    assert (RED in out.getvalue()) is coloured
    assert "wrong" in out.getvalue()


def test_colours_in_a_file_neither_narrow_a_table_nor_draw_a_bar(stream, monkeypatch):
    out = stream(io.StringIO)
    monkeypatch.setenv("FORCE_COLOR", "1")
    terminal.show(*tables.timings([timing_row(backend="long" * 30, arm="long" * 30)]))
    assert "long" * 30 in out.getvalue()
    with terminal.progress() as progress:
        progress.stage("timing", 100)
    assert out.getvalue().endswith("mlpbench: timing, about 2 min left\n")
    assert HIDE not in out.getvalue()


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_the_bar_shows_the_stage_and_the_time_left(columns, stream, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    screen = stream(Screen)
    with terminal.progress() as progress:
        progress.start(3)
        progress.stage("exact results")
        progress.advance()
        progress.start(10)
        progress.stage("timing, process 2 of 10; numba_simd 261 × python_loops", 75)
        bar = progress.progress.tasks[0]
        assert (bar.completed, bar.total) == (0, 10)  # a phase begins anew
        progress.progress.refresh()
    text = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", screen.getvalue())
    assert re.search(r"process 2 of 10; numba_simd .* 7[45] s left", text)
    assert ("timing, process 2 of 10; numba_simd 261 × python_loops ━" in text) is (columns != "60")
    assert max(map(len, text.replace("\r", "\n").splitlines())) <= int(columns)
    assert screen.getvalue().rfind(SHOW) > screen.getvalue().rfind(HIDE) >= 0


def test_without_a_statement_the_time_left_follows_from_the_steps(stream):
    stream(Screen)
    now = [0.0]
    with terminal.progress() as progress:
        progress.progress.get_time = progress.progress.tasks[0]._get_time = lambda: now[0]
        progress.start(10)
        for now[0] in (0.0, 10.0, 20.0):
            progress.advance()
        column = terminal.TimeLeft()
        assert column.render(progress.progress.tasks[0]).plain in ("70 s left", "1 min left")
        progress.start(5)
        assert column.render(progress.progress.tasks[0]).plain.endswith(" so far")  # no step of the new phase is done


@pytest.mark.slow
def test_ctrl_c_shows_the_cursor_again_and_says_what_was_saved(empty_folder):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", "compare", "numpy_plain", "numpy_vectorized", "--network", "3-3-1"],
        stdin=child,
        stdout=child,
        stderr=child,
        start_new_session=True,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(child)
    text, asked = b"", False
    while True:
        try:
            text += os.read(parent, 1000)
        except OSError:  # the program has closed the terminal
            break
        if b"process 1 of" in text and not asked:
            time.sleep(0.5)
            os.killpg(process.pid, signal.SIGINT)
            asked = True
    os.close(parent)
    assert process.wait(timeout=60) == 130
    shown = text.decode()
    assert shown.rfind(SHOW) > shown.rfind(HIDE) >= 0
    assert shown.rstrip().endswith("mlpbench: interrupted; nothing was saved")
