"""Compares the sources of a module, and of all that it imports from its package, between two revisions."""

from __future__ import annotations

__all__ = ["same_sources"]

import ast
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from pairbench.worktrees import Revision


def same_sources(module: str, head: Revision, base: Revision) -> bool:
    """Whether a module, and all that it imports from its package, is the same in both revisions.

    ``module`` is the full name, such as "impls.numpy_plain". Imports are found in the source text, so a module that is
    imported by a name computed at run time is not seen. Files that are no Python modules belong to every module.
    """
    sources = module_sources(module, head.files)
    return bool(sources) and sources == module_sources(module, base.files)


def module_sources(module: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of ``files`` that a process may read that imports a module, contents by path; empty without the module.

    A module that cannot be parsed is included, but not its imports, which no process can carry out.
    """
    if module.replace(".", "/") + ".py" not in files:
        return {}
    found = {path: content for path, content in files.items() if not path.endswith(".py")}
    pending = list(_module_files(module, files))
    while pending:
        path = pending.pop()
        if path not in found:
            found[path] = files[path]
            pending += [file for name in _imported_names(path, files[path]) for file in _module_files(name, files)]
    return found


def _imported_names(path: str, content: bytes) -> Iterator[str]:
    """Full names that import statements mention, at any depth of a module's code."""
    try:
        nodes = list(ast.walk(ast.parse(content)))
    except (SyntaxError, ValueError):
        return
    parents = PurePosixPath(path).parent.parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = parents[: len(parents) - node.level + 1] if node.level else ()
            module = [*above, *(node.module.split(".") if node.module else ())]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def _module_files(name: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """The files that Python may run to import a name, those of its parent packages included."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        place = "/".join(parts[:length])
        yield from (path for path in (f"{place}.py", f"{place}/__init__.py") if path in files)
