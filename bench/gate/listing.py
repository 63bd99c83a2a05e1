"""Which backends a revision has, each imported in a process of that revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.cases import Case
from bench.gate import sets
from bench.gate.messages import Failure, Found, Look, Names
from bench.gate.sets import Died, Sides

ONLY = ""
"""The one side there is."""


@dataclass(frozen=True)
class Listed:
    """By name, in their order, where backends come from and what is found of them."""

    origins: dict[str, str]
    found: dict[str, Found]


def listed(tree: Path, cases: Sequence[Case]) -> Listed:
    """The backends of a tree. One that ends its process is broken, and the others are asked in a fresh one.

    Raises ValueError where the tree cannot even say which there are.
    """
    networks = tuple(
        (case.network.layer_sizes, case.network.hidden, case.network.output, case.network.loss) for case in cases
    )
    origins: dict[str, str] = {}
    found: dict[str, Found] = {}
    while not origins or len(found) < len(origins):
        with sets.opened({ONLY: tree}, Random(0)) as sides:
            origins = origins or _origins(tree, sides)
            for name in [name for name in origins if name not in found]:
                try:
                    answer = sides.ask(ONLY, ONLY, Look(name, networks), sets.BUILDING)
                except Died as death:
                    found[name] = _broken(name, str(death))
                    break
                found[name] = _broken(name, answer.reason) if isinstance(answer, Failure) else answer
    return Listed(origins, found)


def _broken(name: str, reason: str) -> Found:
    return Found(name, (), f"{name} cannot be imported: {reason}", True, ())


def _origins(tree: Path, sides: Sides) -> dict[str, str]:
    try:
        answer = sides.ask(ONLY, ONLY, Names(), sets.BUILDING)
    except Died as death:
        answer = Failure(f"{death}: {sides.last_line(ONLY)}")
    if isinstance(answer, Failure):
        raise ValueError(f"the backends of {tree} cannot be listed: {answer.reason}")
    if not answer:
        raise ValueError(f"{tree} has no backends")
    return dict(answer)
