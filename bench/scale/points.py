"""The points at which the backends are timed. From a base case, one dimension varies at a time.

A network of width w and depth d has w inputs and d layers of w nodes. The operation is ``forward``. A batch of size 1
is the call with a single sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.cases import Case
from bench.records.scale_schema import Dimension as Name
from impls import Backend, Network

WIDTH, DEPTH, BATCH = 32, 2, 1
"""The base case: network 32-32-32, one sample."""

BREAK_EVEN_NETWORKS = (Network((3, 3, 1)), Network((100, 100, 50, 10)))
"""Networks for which the break-even point of compiling is measured."""

EVERY = 3
"""A backend that compiles anew for every shape is timed only at every third value of a dimension."""


@dataclass(frozen=True)
class Dimension:
    """A dimension and the values of its grid, at which all backends are timed.

    The number of multiplications grows with the power ``exponent`` of the value.
    """

    name: Name
    values: tuple[int, ...]
    exponent: int

    def case(self, value: int) -> Case:
        """Return the case at a value of this dimension, with the base values of the other dimensions."""
        width, depth, batch = (
            value if self.name == name else base
            for name, base in (("width", WIDTH), ("depth", DEPTH), ("batch", BATCH))
        )
        return Case(Network((width,) * (depth + 1)), "forward", batch)

    def value(self, case: Case) -> int | None:
        """Return the value at which ``case`` is the case of this dimension; None if there is no such value."""
        sizes = case.network.layer_sizes
        value = {"width": sizes[0], "depth": len(sizes) - 1, "batch": case.batch}[self.name]
        return value if self.case(value) == case else None


DIMENSIONS: tuple[Dimension, ...] = (
    Dimension("width", tuple(2**k for k in range(11)), 2),
    Dimension("depth", (1, 2, 3, 4, 6, 8, 12, 16), 1),
    Dimension("batch", tuple(2**k for k in range(13)), 1),
)


def places(case: Case) -> list[tuple[Dimension, int]]:
    """Return the dimensions that contain a case, with its values. All dimensions contain the base case."""
    return [(dimension, value) for dimension in DIMENSIONS if (value := dimension.value(case)) is not None]


def break_even_cases() -> list[Case]:
    """Return the cases with one sample of each network in ``BREAK_EVEN_NETWORKS``."""
    return [Case(network, "forward", 1) for network in BREAK_EVEN_NETWORKS]


def all_cases() -> list[Case]:
    """Return all cases of the grid and of the break-even points, each once."""
    cases = [dimension.case(value) for dimension in DIMENSIONS for value in dimension.values]
    return list(dict.fromkeys([*break_even_cases(), *cases]))


def backends_at(case: Case, backends: Sequence[Backend]) -> list[Backend]:
    """Return the backends to time at a case. Backends that compile for every shape skip most values of a dimension."""
    skip_compilation = not any(value in dimension.values[::EVERY] for dimension, value in places(case))
    return [backend for backend in backends if not (backend.compiles_shapes and skip_compilation)]
