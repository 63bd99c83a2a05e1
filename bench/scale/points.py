"""The points at which the backends are timed: one dimension at a time, from a base.

A network of width w and depth d has w inputs and d layers of w nodes. The operation is ``forward``; a batch of 1 is
the call with one sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cases import Case
from bench.records.schema import Dimension as Name
from impls import Backend, Network

WIDTH, DEPTH, BATCH = 32, 2, 1
"""The base: 32-32-32, one sample."""

BREAK_EVEN_NETWORKS = (Network((3, 3, 1)), Network((100, 100, 50, 10)))
"""Networks for which the break-even point of compiling is stated."""

EVERY = 3
"""A backend that compiles for every shape is timed at every third value of a dimension."""


@dataclass(frozen=True)
class Dimension:
    """What grows, through which values; the number of multiplications grows with the power ``exponent`` of it."""

    name: Name
    values: tuple[int, ...]
    exponent: int

    def case(self, value: int) -> Case:
        """The case at a value, all else as in the base."""
        width, depth, batch = (
            value if self.name == name else base
            for name, base in (("width", WIDTH), ("depth", DEPTH), ("batch", BATCH))
        )
        return Case(Network((width,) * (depth + 1)), "forward", batch)


DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("width", tuple(2**k for k in range(11)), 2),
    Dimension("depth", (1, 2, 3, 4, 6, 8, 12, 16), 1),
    Dimension("batch", tuple(2**k for k in range(13)), 1),
)


def places(case: Case) -> list[tuple[Dimension, int]]:
    """Where a case lies: dimensions and values. The base lies in all of them."""
    return [
        (dimension, value) for dimension in DIMENSIONS for value in dimension.values if dimension.case(value) == case
    ]


def break_even_cases() -> list[Case]:
    """One sample of each of the networks in ``BREAK_EVEN_NETWORKS``."""
    return [Case(network, "forward", 1) for network in BREAK_EVEN_NETWORKS]


def all_cases() -> list[Case]:
    """Every case once."""
    cases = [dimension.case(value) for dimension in DIMENSIONS for value in dimension.values]
    return list(dict.fromkeys([*break_even_cases(), *cases]))


def at(case: Case, backends: Sequence[Backend]) -> list[Backend]:
    """The backends that are timed at a case: all but those that would compile for it and are timed at a few alone."""
    few = not any(dimension.values.index(value) % EVERY == 0 for dimension, value in places(case))
    return [backend for backend in backends if not (backend.compiles_shapes and few)]
