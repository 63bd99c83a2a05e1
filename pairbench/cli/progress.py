"""The progress of a command on standard error: a line that changes on a terminal, and plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from pairbench.cli.rendering import say
from pairbench.progress import Progress
from pairbench.visible_text import visible


class Stages:
    """Shows each stage with a function."""

    def __init__(self, show: Callable[[str], object]):
        self._show = show

    def start(self, steps: int) -> None:
        """Show nothing: the stages name their numbers."""

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Show the stage."""
        self._show(visible(text))

    def advance(self) -> None:
        """Show nothing."""


@contextmanager
def progress() -> Iterator[Progress]:
    """A display of the progress until the context ends."""
    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    if not console.is_terminal or sys.stderr is None or not sys.stderr.isatty():  # FORCE_COLOR makes no terminal
        yield Stages(say)
        return
    # Only two updates a second, because drawing would disturb the timing.
    with console.status("", refresh_per_second=2) as status:
        yield Stages(lambda text: status.update(text))
