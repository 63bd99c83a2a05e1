"""The interface of a progress display."""

from __future__ import annotations

__all__ = ["NoProgress", "Progress"]

from typing import Protocol


class Progress(Protocol):
    """A display of the progress of a measurement."""

    def start(self, steps: int) -> None:
        """Begin a phase of ``steps`` steps."""

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Show the name of the next stage, and how long the rest of the phase takes if that is known."""

    def advance(self) -> None:
        """Count one step as done."""


class NoProgress:
    """A display that shows nothing."""

    def start(self, steps: int) -> None:
        """Do nothing."""

    def stage(self, text: str, seconds_left: float | None = None) -> None:
        """Do nothing."""

    def advance(self) -> None:
        """Do nothing."""
