"""Output on the terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bench.report.layout import UNLIMITED, fitted
from pairbench.progress import Progress as Reports
from pairbench.visible_text import visible


def say(text: str) -> None:
    """Print a line to standard error. An error while writing is ignored."""
    if sys.stderr is not None:  # print would take standard output instead
        with suppress(OSError):
            print(f"mlpbench: {visible(text)}", file=sys.stderr, flush=True)


class Lines:
    """Progress as plain text, with a line for each stage."""

    def start(self, steps: int) -> None:
        """Print nothing: the number of steps matters to a bar only."""

    def stage(self, text: str) -> None:
        """Print a line."""
        say(text)

    def advance(self) -> None:
        """Print nothing: only stages have a line."""


class Bar:
    """Progress as a bar."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.task = progress.add_task("", total=None)

    def start(self, steps: int) -> None:
        """Set the length of the bar."""
        self.progress.update(self.task, total=steps)

    def stage(self, text: str) -> None:
        """Set the text beside the bar."""
        self.progress.update(self.task, description=visible(text))

    def advance(self) -> None:
        """Move the bar by a step."""
        self.progress.advance(self.task)


@contextmanager
def progress() -> Iterator[Reports]:
    """A progress bar if standard error is a terminal, and plain lines otherwise."""
    console = Console(stderr=True, file=sys.stderr)  # also while ``sys.stderr`` is redirected
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
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
    console = Console(markup=False, emoji=False, highlight=False, width=UNLIMITED, force_terminal=is_terminal)
    if console.is_terminal or os.environ.get("COLUMNS"):
        console.width = shutil.get_terminal_size().columns
    with console.capture() as captured:
        for renderable in renderables:
            for part in fitted(renderable, console):
                console.print(part, soft_wrap=isinstance(part, str | Text))
    return captured.get()


def write(text: str) -> None:
    """Write to standard output. A reader that closes the pipe early, such as ``head``, is not an error."""
    if sys.stdout is None:  # closed by the caller
        return
    with suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
