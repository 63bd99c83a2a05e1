"""Lists all backends, with their libraries, dtypes and descriptions."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Mapping
from importlib import metadata

import impls
from bench.records.schema import BackendRow, Status
from bench.selection import in_order
from impls import Backend, BackendError, BackendNotInstalled, BackendUnavailable


def rows() -> list[BackendRow]:
    """A row for each backend, whether installed or not, and for each that is refused because of its name."""
    origins = impls.origins()
    refused = [_unusable(name, origin, "broken", reason) for name, (origin, reason) in impls.misnamed().items()]
    distributions = metadata.packages_distributions()  # once, because it reads the file lists of all distributions
    return [_row(name, origins[name], distributions) for name in in_order(origins)] + refused


def libraries(backend: Backend, distributions_of_package: Mapping[str, list[str]]) -> dict[str, str]:
    """Versions of the distributions that the files of a backend's model import, by name.

    NumPy is listed only if it is the only distribution, because every backend takes and returns NumPy arrays. The
    second argument is what ``importlib.metadata.packages_distributions`` returns.
    """
    modules = {kind.__module__ for kind in backend.model.__mro__}
    imported = {name for module in modules if module not in sys.stdlib_module_names for name in _imports(module)}
    names = {distribution for name in imported for distribution in distributions_of_package.get(name, ())}
    if len(names) > 1:
        names.discard("numpy")
    return {name: metadata.version(name) for name in sorted(names)}


def _imports(module: str) -> set[str]:
    """Top-level packages that a module imports, without ``impls`` and the standard library."""
    packages: set[str] = set()
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.Import):
            packages.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            packages.add(node.module.partition(".")[0])
    return packages - {"impls", *sys.stdlib_module_names}


def _status(error: BackendError) -> Status:
    if isinstance(error, BackendNotInstalled):
        return "not installed"
    return "unavailable" if isinstance(error, BackendUnavailable) else "broken"


def _row(name: str, origin: str, distributions_of_package: Mapping[str, list[str]]) -> BackendRow:
    try:
        backend = impls.load(name)
    except BackendError as error:
        return _unusable(name, origin, _status(error), str(error))
    return BackendRow(
        backend=name,
        origin=origin,
        status="installed",
        libraries=libraries(backend, distributions_of_package),
        dtypes=list(backend.dtypes),
        description=backend.description,
        reason="",
    )


def _unusable(name: str, origin: str, status: Status, reason: str) -> BackendRow:
    return BackendRow(
        backend=name, origin=origin, status=status, libraries={}, dtypes=[], description="", reason=reason
    )
