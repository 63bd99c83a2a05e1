"""Which backends a command runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import impls
from impls import Backend, BackendError, BackendNotInstalled

REFERENCE = "python_loops"

TABLE_ORDER = (
    "python_loops_ndarray",
    "python_loops",
    "numpy_plain",
    "numpy_vectorized",
    "numba_plain",
    "numba_jit",
    "numba_simd",
)
"""The order of the tables; the other backends follow as ``impls.names`` lists them."""


@dataclass(frozen=True)
class Selection:
    """The backends to run; by name, in one line each, why others are left out, and what does not work."""

    backends: list[Backend]
    left_out: dict[str, str]
    broken: dict[str, str]

    def including(self, name: str) -> list[Backend]:
        """The backends, and this one, in the order of the tables."""
        by_name = {backend.name: backend for backend in [*self.backends, impls.load(name)]}
        return [by_name[name] for name in in_order(by_name)]

    def notes(self, but_for: str = "") -> list[str]:
        """A line for each backend that is left out or broken; none for ``but_for``, which runs all the same."""
        left_out = [f"left out: {text}" for name, text in self.left_out.items() if name != but_for]
        return left_out + [f"broken: {text}" for text in self.broken.values()]


def select_backends(named: Sequence[str] = (), peers: bool = False, dtype: str | None = None) -> Selection:
    """Backends that are named, and all peers if ``peers``; if neither is asked for, the core backends.

    A backend that is named must be there and have the dtype: raises BackendError or ValueError. One that is not named
    is left out where it is not installed or has not the dtype.
    """
    selection = Selection([], {}, {})
    wanted = [name for name, origin in impls.origins().items() if origin == _origin(named, peers)]
    if peers and not wanted:
        raise ValueError("there are no peers: impls/peers/ holds no backend")
    for name in in_order([*dict.fromkeys([*named, *wanted])]):
        try:
            backend = impls.load(name)
            if dtype is not None and dtype not in backend.dtypes:
                raise ValueError(f"{name} has no {dtype}; it has {', '.join(backend.dtypes)}")
        except (BackendError, ValueError) as error:
            if name in named:
                raise
            (selection.left_out if _is_lack(error) else selection.broken)[name] = str(error)
        else:
            selection.backends.append(backend)
    return selection


def in_order(names: Iterable[str]) -> list[str]:
    """Names in the order of the tables."""
    listed = [*TABLE_ORDER, *(name for name in impls.names() if name not in TABLE_ORDER)]
    return sorted(names, key=lambda name: listed.index(name) if name in listed else len(listed))


def _origin(named: Sequence[str], peers: bool) -> str | None:
    if peers:
        return "peer"
    return None if named else "core"


def _is_lack(error: Exception) -> bool:
    return isinstance(error, BackendNotInstalled | ValueError)
