"""Who is told how far the measuring is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told how far the measuring is."""

    def start(self, steps: int) -> None:
        """So many steps lie ahead."""

    def stage(self, text: str) -> None:
        """What comes next."""

    def advance(self) -> None:
        """A step is done."""


class NoProgress:
    """Progress that nobody follows."""

    def start(self, steps: int) -> None:
        """Nothing."""

    def stage(self, text: str) -> None:
        """Nothing."""

    def advance(self) -> None:
        """Nothing."""
