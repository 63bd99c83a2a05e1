"""A workload for the tests of the counts. Workers import it, under Valgrind too, so that it imports next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from pairbench.workload import TimedCall

PACKAGE = "counted_package"


@dataclass(frozen=True)
class Function:
    """The call of a function without arguments, by its name in the package of the side."""

    name: str

    def build(self):
        function = getattr(import_module(PACKAGE), self.name)
        return TimedCall(lambda seed: function(), lambda seed, count: [(seed,)] * count)
