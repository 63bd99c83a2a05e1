"""Where the results of a command go."""

from __future__ import annotations

__all__ = ["STANDARD_OUTPUT", "Destinations", "check_apart"]

from dataclasses import dataclass
from pathlib import Path

FORMATS = ("table", "markdown", "csv", "json")
STANDARD_OUTPUT = "-"


@dataclass(frozen=True)
class Destinations:
    """A command's results go to ``output`` in ``format``, and as JSON to ``json``, too.

    ``output`` None is standard output. ``json`` None is nowhere; "-" is standard output, which then has nothing else.
    """

    format: str = FORMATS[0]
    output: str | None = None
    json: str | None = None

    @property
    def files(self) -> list[Path]:
        """The files among the destinations."""
        return [Path(name) for name in (self.output, self.json) if name not in (None, STANDARD_OUTPUT)]

    def check(self) -> None:
        """Raise ValueError if the destinations exclude each other."""
        if self.json == STANDARD_OUTPUT and (self.format != FORMATS[0] or self.output is not None):
            raise ValueError("--json - is the only output; name a file for --json beside --format or --output")
        check_apart(*self.files)


def check_apart(*paths: Path) -> None:
    """Raise ValueError if two of the paths are the same file."""
    for place, path in enumerate(paths):
        if path.resolve() in [other.resolve() for other in paths[:place]]:
            raise ValueError(f"{path} would be written twice; name another file")
