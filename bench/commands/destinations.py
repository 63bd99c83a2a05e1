"""Where the results of a command go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FORMATS = ("table", "markdown", "csv", "json")
STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Destinations:
    """A command's results go to ``output`` in ``format``, and as JSON to ``json``, too.

    ``output`` None is standard output. ``json`` None is nowhere; "-" is standard output, which then has nothing else.
    """

    format: str = "table"
    output: str | None = None
    json: str | None = None

    @property
    def files(self) -> list[Path]:
        """The files among the destinations."""
        return [Path(name) for name in (self.output, self.json) if name not in (None, STANDARD_OUTPUT)]
