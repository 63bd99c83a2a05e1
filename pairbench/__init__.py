"""Paired timing: interleaved samples, ratios with intervals, and a sequential test for regressions.

``compare`` times functions against each other; the pytest fixture ``paired`` does so in a test. The package does not
know the code under test. Names are imported when they are first used, so that ``import pairbench`` takes no time.

A module of this package is public if it has ``__all__``, with the names in it. Everything else is private and may
change at any time. ``docs/your-own-suite.md`` lists the public modules.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pairbench.comparing import compare
    from pairbench.comparison import Comparison, Row
    from pairbench.functions import CompareError
    from pairbench.paired import Paired

__all__ = ["CompareError", "Comparison", "Paired", "Row", "compare"]

_MODULES = {
    "CompareError": "functions",
    "Comparison": "comparison",
    "Paired": "paired",
    "Row": "comparison",
    "compare": "comparing",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(f"pairbench.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'pairbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
