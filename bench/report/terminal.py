"""Output on the terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from bench.report.layout import UNLIMITED, fitted
from pairbench.duration import in_words
from pairbench.progress import Progress as Reports
from pairbench.visible_text import visible

BAR_WIDTH = 12
"""So narrow that the usual stages fit beside it on 80 columns."""

HTML = '<pre style="line-height: normal; overflow-x: auto">{code}</pre>'

_plain_console = partial(Console, markup=False, emoji=False, highlight=False, width=UNLIMITED)


def say(text: str) -> None:
    """Print a line to standard error. An error while writing is ignored."""
    if sys.stderr is not None:  # print would take standard output instead
        with suppress(OSError):
            print(f"mlpbench: {visible(text)}", file=sys.stderr, flush=True)


class Lines:
    """Progress as plain text, with a line for each stage."""

    def start(self, steps: int) -> None:
        """Print nothing: the number of steps matters to a bar only."""

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Print a line."""
        say(text if seconds_left is None else f"{text}, about {in_words(seconds_left)} left")

    def advance(self) -> None:
        """Print nothing: only stages have a line."""


class TimeLeft(ProgressColumn):
    """The time left: what the stage said, or else what follows from the last steps."""

    def render(self, task: Task) -> Text:
        """The time left, or the time so far if the time left is unknown."""
        end = task.fields["end"]
        seconds = task.time_remaining if end is None else max(0.0, end - task.get_time())
        words = f"{in_words(task.elapsed or 0)} so far" if seconds is None else f"{in_words(seconds)} left"
        return Text(words, style="progress.remaining")


class Bar:
    """Progress as a bar."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.task = progress.add_task("", total=None, end=None)

    def start(self, steps: int) -> None:
        """Set the length of the bar."""
        self.progress.update(self.task, total=steps, completed=0, end=None)

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Set the text beside the bar."""
        end = None if seconds_left is None else self.progress.get_time() + seconds_left
        self.progress.update(self.task, description=visible(text), end=end)

    def advance(self) -> None:
        """Move the bar by a step."""
        self.progress.advance(self.task)


@contextmanager
def progress() -> Iterator[Reports]:
    """A progress bar if standard error is a terminal, and plain lines otherwise."""
    console = Console(stderr=True, file=sys.stderr)  # also while ``sys.stderr`` is redirected
    if not (_is_terminal(sys.stderr) and console.is_interactive):  # FORCE_COLOR makes no terminal of a file
        yield Lines()
        return
    columns = (
        TextColumn("{task.description}", markup=False, table_column=Column()),
        BarColumn(BAR_WIDTH),
        TimeLeft(Column(no_wrap=True)),
    )
    # Only two updates a second, because drawing would disturb the timing.
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        yield Bar(bar)


def show(*renderables: RenderableType) -> None:
    """Print to standard output, fitted to the width of the terminal or to COLUMNS; a file has no width.

    Every string is one line: a line break in it is escaped.
    """
    write(rendered(*renderables, is_terminal=None))


def rendered(*renderables: RenderableType, is_terminal: bool | None = False) -> str:
    """The text of the renderables, for a file or for a terminal; None takes standard output for what it is."""
    console = _plain_console(force_terminal=is_terminal)
    if (is_terminal is None and _is_terminal(sys.stdout)) or os.environ.get("COLUMNS"):
        console.width = shutil.get_terminal_size().columns
    with console.capture() as captured:
        _print(console, renderables)
    return captured.get()


def html(*renderables: RenderableType) -> str:
    """The text of the renderables as HTML, for a notebook."""
    console = _plain_console(file=io.StringIO(), record=True, force_jupyter=False)
    _print(console, renderables)
    return console.export_html(inline_styles=True, code_format=HTML)


def _print(console: Console, renderables: Iterable[RenderableType]) -> None:
    for renderable in renderables:
        for part in fitted(renderable, console):
            console.print(part, soft_wrap=isinstance(part, str | Text))


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def write(text: str) -> None:
    """Write to standard output. A reader that closes the pipe early, such as ``head``, is not an error."""
    if sys.stdout is None:  # closed by the caller
        return
    with suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
