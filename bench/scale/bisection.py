"""Chooses the sizes that are timed inside of crossovers, after the grid. Computed from the state, so it resumes."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases import Case
from bench.records.scale_schema import ScaleState
from bench.scale import points
from bench.scale.result import ScaleResult
from impls import Backend

STEPS = 3
"""Largest number of sizes that are timed to narrow one crossover."""


def next_points(state: ScaleState, backends: Sequence[Backend]) -> dict[Case, list[Backend]]:
    """The cases of the next step of bisection, with the backends to time there; empty if no crossover can be narrowed.

    Each crossover of two of the ``backends`` asks for one size. All backends that have a crossover around a size are
    timed there, so that a size serves several pairs. No case is timed twice.
    """
    result = ScaleResult(state, [backend.name for backend in backends])
    chosen: dict[Case, list[Backend]] = {}
    for dimension in points.DIMENSIONS:
        found = [(pair, crossover) for pair, crossovers, _ in result.pairs(dimension) for crossover in crossovers]
        wanted = {size for _, crossover in found if (size := crossover.next_size()) is not None}
        for size in sorted(wanted.difference(result.sizes[dimension])):
            names = {name for pair, around in found if around.left < size < around.right for name in pair}
            chosen[dimension.case(size)] = [backend for backend in backends if backend.name in names]
    return chosen
