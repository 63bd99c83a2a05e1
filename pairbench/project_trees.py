"""The sources of a project at each side of a gate: worktrees of the whole checkout, built if that is asked for.

A project is imported from folders of its worktree. If it has to be built, a command installs each worktree into a
virtual environment of its own, which also sees the packages of this process's environment.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pairbench import environment, own_tree, worktrees
from pairbench.forked_processes import ForkServer, StartingServer
from pairbench.function_workload import FunctionName
from pairbench.project_worker import ImportPlan
from pairbench.visible_text import one_line
from pairbench.worker_processes import Worker, start_server, start_worker
from pairbench.worktrees import Checkout, Revision, WorktreeError

STORE = Path(".pairbench") / "gate"
"""Folder of the worktrees, relative to the checkout. Git ignores it."""
MODULE = "pairbench.project_worker"
"""The module that a worker process runs."""
HOW_TO_BUILD = "give the command that installs each side (--build, or --paired-build in pytest)"


class ForeignSource(ValueError):
    """A side would measure code from outside its worktree; the message says which, in one line."""


@dataclass(frozen=True)
class ProjectTree:
    """A side's worktree ``root``, and how a process imports the project from it.

    ``venv`` is the virtual environment in which it is installed, None if it is imported from its sources.
    """

    side: str
    root: Path
    plan: ImportPlan
    venv: Path | None = None

    def check_present(self) -> None:
        """Raise WorktreeError if the worktree was removed."""
        if not self.root.is_dir():
            raise WorktreeError(f"the sources in {self.root} were removed during the measurement")

    def serve(self, libraries: Sequence[str]) -> AbstractContextManager[StartingServer]:
        """Start a fork server for the processes of all sides; none if each side has its own virtual environment."""
        if self.venv is not None:
            return nullcontext(StartingServer(None))
        return start_server(libraries, MODULE, environment.everything())

    def start(self, server: ForkServer | None = None) -> AbstractContextManager[Worker]:
        """Start a fresh process that imports the project from here, in the folder ``root``."""
        return start_worker(
            MODULE,
            self.plan.to_json(),
            python=sys.executable if self.venv is None else str(_programs(self.venv) / "python"),
            start_in=self.root,
            variables=environment.everything(),
            server=server,
        )

    def check_origins(self, files: Sequence[tuple[str, str]]) -> None:
        """Raise ForeignSource if a module, given with its file, does not come from here."""
        homes = [folder.resolve() for folder in (self.root, self.venv) if folder is not None]
        for name, file in files:
            if not any(Path(file).resolve().is_relative_to(home) for home in homes):
                hint = HOW_TO_BUILD if self.venv is None else "the build command must install it"
                raise ForeignSource(
                    f"{name} of the {self.side} comes from {file}, not from its worktree {self.root}, so the same code "
                    f"would be measured on both sides; {hint}"
                )


def lay_out(
    checkout: Checkout, revision: Revision, side: str, names: Sequence[FunctionName], build: str | None
) -> ProjectTree:
    """A side's sources at a revision, made and built if they are missing. Raises WorktreeError."""
    store = checkout.root / STORE
    _ignore(store.parent)
    variant = "" if build is None else _digest(build, sys.prefix, sys.version)
    root = worktrees.place(store, revision, side, variant)
    own_venv = None if build is None else root.with_name(f"{root.name}-environment")
    built = root.with_name(f"{root.name}-built")
    if not (built.is_file() and worktrees.holds(root, revision)):  # a built worktree has more files than its revision
        built.unlink(missing_ok=True)
        worktrees.lay_out(store, revision, side, variant)
        if build is not None and own_venv is not None:
            _build(root, own_venv, build, side)
            built.touch()
    os.utime(root.parent)
    found = [(name.package, import_folder(name.module, revision.files)) for name in names]
    found += [(name.package, import_folder(name.package, revision.files)) for name in names]
    usual = [folder for folder in ("src", ".") if (root / folder).is_dir()]
    folders = dict.fromkeys([*(folder for _, folder in found if folder is not None), *usual])
    places = dict.fromkeys((name.package for name in names), str(root))  # where the revision lacks it
    places |= {package: str(root / folder) for package, folder in reversed(found) if folder is not None}
    plan = ImportPlan(
        folders=[str(root / folder) for folder in folders],
        places=places,
        is_built=build is not None,
        removed=[str(checkout.root / folder) for folder in folders],
    )
    return ProjectTree(side, root, plan, own_venv)


def import_folder(module: str, files: Collection[str]) -> str | None:
    """The folder from which a module is imported, among the paths of a project's files; None if no file is it.

    A folder with an ``__init__.py`` is a package, and nothing is imported from it. Of several folders, it is the one
    with the shortest path, ``src`` first.
    """
    place = module.replace(".", "/")
    folders = {
        PurePosixPath(name.removesuffix(end))
        for name in files
        for end in (f"{place}.py", f"{place}/__init__.py")
        if name == end or name.endswith(f"/{end}")
    }
    roots = [folder for folder in folders if not folder.parts or str(folder / "__init__.py") not in files]
    best = min(roots, key=lambda folder: (len(folder.parts), folder.name != "src", str(folder)), default=None)
    return None if best is None else str(best)


def _build(root: Path, folder: Path, command: str, side: str) -> None:
    """Run the command in the worktree, with a new virtual environment first on the path. Raises WorktreeError."""
    programs = create_environment(folder)
    variables = {
        "SETUPTOOLS_SCM_PRETEND_VERSION": "0",  # a worktree has no .git, from which it would read the version
        **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
        "PATH": os.pathsep.join([str(programs), os.environ.get("PATH", "")]),
        "VIRTUAL_ENV": str(folder),
    }
    log = root.with_name(f"{root.name}-build.log")
    with log.open("wb") as output:
        done = subprocess.run(
            command, shell=True, cwd=root, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    if done.returncode != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        last = one_line(lines[-1]) if lines else "no output"
        raise WorktreeError(f"the build of the {side} ended with status {done.returncode}: {last} (all output: {log})")


def create_environment(folder: Path) -> Path:
    """Make a new virtual environment that also sees the packages of this one; return the folder of its programs."""
    shutil.rmtree(folder, ignore_errors=True)
    # Without pip of its own the environment uses that of this process, which saves some seconds.
    has_pip = importlib.util.find_spec("pip") is not None
    venv.EnvBuilder(system_site_packages=True, with_pip=not has_pip, symlinks=os.name != "nt").create(folder)
    programs = _programs(folder)
    (site,) = _site_folders(folder)
    # Last in alphabetical order, so that what the command installs comes first.
    links = [entry for entry in sys.path if Path(entry).name in own_tree.SITE_FOLDERS]
    lines = [f"import site; site.addsitedir({entry!r})" for entry in links]
    (site / "zzz_pairbench.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if has_pip and os.name != "nt":
        pip = programs / "pip"
        pip.write_text(f"#!/bin/sh\nexec '{programs / 'python'}' -m pip \"$@\"\n", encoding="utf-8")
        pip.chmod(0o755)
    return programs


def _programs(folder: Path) -> Path:
    return folder / ("Scripts" if os.name == "nt" else "bin")


def _site_folders(folder: Path) -> list[Path]:
    return list(folder.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode(errors="replace")).hexdigest()[:12]


def _ignore(folder: Path) -> None:
    """Make a folder that git ignores, because its files are no part of the working tree. Raises WorktreeError."""
    try:
        folder.mkdir(exist_ok=True)
        if not (folder / ".gitignore").exists():
            (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise WorktreeError(f"cannot make the folder {folder}: {error.strerror}") from None
