"""Selects the backends that a command runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import impls
from impls import Backend, BackendError, BackendUnavailable, BrokenBackend
from pairbench.function_watch import FunctionWatch
from pairbench.visible_text import visible_prints
from pairbench.workload import WorkloadError

REFERENCE = "python_loops"

GUARDED = ("pairbench", "bench", "impls")
"""Packages whose functions a backend must not replace."""

BY_DEFAULT = ("core", "added")
"""Origins of the backends that take part in a run that names none."""

TABLE_ORDER = (
    "python_loops_ndarray",
    "python_loops",
    "numpy_plain",
    "numpy_vectorized",
    "numba_plain",
    "numba_jit",
    "numba_simd",
)
"""Order of the backends in tables; other backends follow in the order of ``impls.names``."""


@dataclass(frozen=True)
class Selection:
    """The backends to run, and, by name, the reasons why other backends are left out or broken, in one line each."""

    backends: list[Backend]
    left_out: dict[str, str]
    broken: dict[str, str]

    def including(self, name: str) -> list[Backend]:
        """The backends and the backend ``name``, in the order of the tables."""
        by_name = {backend.name: backend for backend in [*self.backends, impls.load(name)]}
        return [by_name[name] for name in in_order(by_name)]

    def notes(self, but_for: str = "") -> list[str]:
        """A line for each backend that is left out or broken. The backend ``but_for`` runs anyway and gets no line."""
        left_out = [f"left out: {text}" for name, text in self.left_out.items() if name != but_for]
        return left_out + [f"broken: {text}" for text in self.broken.values()]


def select_backends(named: Sequence[str] = (), peers: bool = False, dtype: str | None = None) -> Selection:
    """Select the named backends, and all peers if ``peers``; without names and peers, all of ``impls/``.

    Raises BackendError or ValueError if a named backend does not work, is unavailable or does not support the dtype.
    Other backends that are unavailable or do not support the dtype are left out.
    """
    selection = Selection([], {}, {})
    functions = FunctionWatch(*GUARDED)
    unnamed_origins = _unnamed_origins(named, peers)
    unnamed = [name for name, origin in impls.origins().items() if origin in unnamed_origins]
    if peers and not unnamed:
        raise ValueError("there are no peers: impls/peers/ contains no backend")
    for name in in_order([*dict.fromkeys([*named, *unnamed])]):
        try:
            with visible_prints():
                backend = _load_watched(name, functions)
            if dtype is not None and dtype not in backend.dtypes:
                raise ValueError(f"{name} does not support {dtype}, only {', '.join(backend.dtypes)}")
        except (BackendError, ValueError) as error:
            if name in named:
                raise
            (selection.left_out if _is_unavailable(error) else selection.broken)[name] = str(error)
        else:
            selection.backends.append(backend)
    selection.broken.update(
        (name, reason) for name, (origin, reason) in impls.misnamed().items() if origin in unnamed_origins
    )
    return selection


def in_order(names: Iterable[str]) -> list[str]:
    """The names in the order of the tables."""
    listed = [*TABLE_ORDER, *(name for name in impls.names() if name not in TABLE_ORDER)]
    return sorted(names, key=lambda name: listed.index(name) if name in listed else len(listed))


def _unnamed_origins(named: Sequence[str], peers: bool) -> tuple[str, ...]:
    """Origins of the backends that run although they are not named."""
    if peers:
        return ("peer",)
    return () if named else BY_DEFAULT


def _load_watched(name: str, functions: FunctionWatch) -> Backend:
    """Load a backend. Raises BrokenBackend, too, if its import replaces a function of the harness."""
    try:
        return impls.load(name)
    finally:
        try:
            functions.require_unchanged()
        except WorkloadError as error:
            raise BrokenBackend(f"backend {name} {error} when it is imported") from error


def _is_unavailable(error: Exception) -> bool:
    return isinstance(error, BackendUnavailable | ValueError)
