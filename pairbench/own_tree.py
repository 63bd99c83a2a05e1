"""Has a process import the packages of its own source trees from there alone.

The editable install of another checkout puts a finder on ``sys.meta_path``. It would serve every module that these
trees lack, such as a deleted one, and the process would measure sources that nobody named.
"""

from __future__ import annotations

__all__ = ["guard"]

import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

SITE_FOLDERS = frozenset({"site-packages", "dist-packages"})
"""Names of the folders in which packages are installed."""


class ForeignModule(ImportError):
    """A module of a tree's package comes from elsewhere; the message names the module and its file."""


class TreeFinder:
    """A finder for ``sys.meta_path`` that looks for a package's modules in the package's tree, and nowhere else."""

    def __init__(self, trees: Mapping[str, Path]):
        self.trees = trees

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's place in its tree; None for modules of other packages. Raises ModuleNotFoundError."""
        tree = self.trees.get(name.partition(".")[0])
        if tree is None:
            return None
        spec = PathFinder.find_spec(name, [str(tree)] if path is None else path, target)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return spec


def guard(folders: Sequence[Path]) -> None:
    """Have this process import every package that lies in one of the folders from the first such folder alone.

    A folder of installed packages is left as it is. Raises ForeignModule if a package is imported already, from
    elsewhere.
    """
    installed = {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}
    trees: dict[str, Path] = {}
    for folder in folders:
        if folder not in installed:
            for file in folder.glob("*/__init__.py"):
                trees.setdefault(file.parent.name, folder)
    guard_names(trees)


def guard_names(trees: Mapping[str, Path]) -> None:
    """Have this process import these packages and modules, and no others, from the folders given here alone.

    Raises ForeignModule if one is imported already, from elsewhere.
    """
    sys.meta_path[:] = [TreeFinder(trees), *(finder for finder in sys.meta_path if not isinstance(finder, TreeFinder))]
    check_origins()


def guard_only(package: str) -> None:
    """Have this process import all guarded packages but this one from where it finds them.

    A project under test may have packages of its own with the names of others in the tree, such as ``tests``.
    """
    for finder in sys.meta_path:
        if isinstance(finder, TreeFinder):
            finder.trees = {name: tree for name, tree in finder.trees.items() if name == package}


def check_origins() -> None:
    """Raise ForeignModule if a module of a guarded package comes from another place than the package's tree."""
    trees = {
        name: tree for finder in sys.meta_path if isinstance(finder, TreeFinder) for name, tree in finder.trees.items()
    }
    for name, module in list(sys.modules.items()):
        tree, file = trees.get(name.partition(".")[0]), getattr(module, "__file__", None)
        if tree is not None and file is not None and not Path(file).resolve().is_relative_to(tree.resolve()):
            raise ForeignModule(f"the module {name} is imported from {file}, not from {tree}")


def installed_modules() -> list[str]:
    """Names of the imported modules that are installed or belong to Python, in the order of import."""
    python = Path(sysconfig.get_path("stdlib"))
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    places = {name: Path(file) for name, file in files.items() if file is not None and name != "__main__"}
    return [
        name for name, file in places.items() if file.is_relative_to(python) or not SITE_FOLDERS.isdisjoint(file.parts)
    ]
