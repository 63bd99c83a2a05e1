"""The tutorials by key."""

from __future__ import annotations

from collections.abc import Sequence

from bench.tutorials import circles, feedforward, miniflow, xor
from bench.tutorials.programs import Tutorial
from impls._check import suggestion


def select_tutorials(keys: Sequence[str] = (), boston: bool = False) -> list[Tutorial]:
    """Return the tutorials with the given keys, or all tutorials without keys. Raises ValueError for an unknown key."""
    tutorials = {
        tutorial.key: tutorial
        for tutorial in (feedforward.TUTORIAL, circles.TUTORIAL, miniflow.tutorial(boston), xor.TUTORIAL)
    }
    for key in keys:
        if key not in tutorials:
            hint = suggestion(key, tutorials)
            raise ValueError(f"no tutorial has the key {key!r}{hint}; the keys are {', '.join(tutorials)}")
    return [tutorials[key] for key in dict.fromkeys(keys)] if keys else list(tutorials.values())
