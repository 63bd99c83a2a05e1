"""What goes to the terminal: progress on standard error, results on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pairbench.progress import Progress as Reports


def say(text: str) -> None:
    """Print a line to standard error; where that cannot be, the command goes on without."""
    if sys.stderr is not None:  # print would take standard output instead
        with suppress(OSError):
            print(f"mlpbench: {text}", file=sys.stderr, flush=True)


class Lines:
    """Progress as plain lines, one for each stage."""

    def start(self, steps: int) -> None:
        """Nothing is said before the first stage."""

    def stage(self, text: str) -> None:
        """Print a line."""
        say(text)

    def advance(self) -> None:
        """A step alone is not worth a line."""


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
        self.progress.update(self.task, description=text)

    def advance(self) -> None:
        """Move the bar by a step."""
        self.progress.advance(self.task)


@contextmanager
def progress() -> Iterator[Reports]:
    """A bar where standard error is a terminal, plain lines elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Drawn twice a second only: it shares the machine with what is timed.
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as bar:
        yield Bar(bar)


def show(*renderables: RenderableType) -> None:
    """Print to standard output; text is not wrapped, and a table is never narrower than its content."""
    console = Console(markup=False, emoji=False, highlight=False)
    unlimited = console.options.update(max_width=1000)
    widths = [Measurement.get(console, unlimited, one).maximum for one in renderables if isinstance(one, Table)]
    console.width = max([console.width, *widths])
    with console.capture() as captured:
        for one in renderables:
            console.print(one, soft_wrap=isinstance(one, str | Text))
    write(captured.get())


def write(text: str) -> None:
    """Write to standard output. A reader that goes away, such as ``head``, is no error."""
    if sys.stdout is None:  # closed by the caller
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:  # Python flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
