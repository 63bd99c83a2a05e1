"""What is known about each backend that is found."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib import metadata

import impls
from bench.records.schema import BackendRow
from bench.selection import in_order
from impls import Backend, BackendError, BackendNotInstalled


def rows() -> list[BackendRow]:
    """A row for every backend, installed or not."""
    origins = impls.origins()
    return [_row(name, origins[name]) for name in in_order(origins)]


def libraries(backend: Backend) -> dict[str, str]:
    """Distributions that the files of the backend's model import, with their versions.

    NumPy is named only where it is the only one: every backend speaks it at its border.
    """
    known = metadata.packages_distributions()
    modules = {kind.__module__ for kind in backend.model.__mro__}
    imported = {name for module in modules if module not in sys.stdlib_module_names for name in _imports(module)}
    names = {distribution for name in imported for distribution in known.get(name, ())}
    if len(names) > 1:
        names.discard("numpy")
    return {name: metadata.version(name) for name in sorted(names)}


def _imports(module: str) -> set[str]:
    """Top-level names of the packages that a module's file imports, this project's and Python's own left out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - {"impls", *sys.stdlib_module_names}


def _row(name: str, origin: str) -> BackendRow:
    try:
        backend = impls.load(name)
    except BackendError as error:
        return BackendRow(
            backend=name,
            origin=origin,
            status="not installed" if isinstance(error, BackendNotInstalled) else "broken",
            libraries={},
            dtypes=[],
            description="",
            reason=str(error),
        )
    return BackendRow(
        backend=name,
        origin=origin,
        status="installed",
        libraries=libraries(backend),
        dtypes=list(backend.dtypes),
        description=backend.description,
        reason="",
    )
