"""The pairs of functions: a base, and a head that does the same unit of work a few times more.

Both return the same result, so that only the time differs. The units are counted, so the planted slowdown is exact.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

UNITS = 40
"""Units of work of the base. It is a multiple of 20, so that a planted 5 % is a whole number of units."""
PLANTED = (0.0, 0.05, 0.10)
THRESHOLD = 0.05

KINDS: Mapping[str, str] = {
    "Python loop": """\
UNITS = {units}


def work(values):
    for _ in range(UNITS):
        total = 0.0
        for value in values:
            total += value
    return total


def make():
    return ([0.5 + 0.25 * number for number in range(100)],)
""",
    "NumPy": """\
import numpy

UNITS = {units}


def work(values):
    for _ in range(UNITS):
        total = float(numpy.sqrt(values * values + 1.0).sum())
    return total


def make():
    return (numpy.linspace(0.0, 1.0, 500),)
""",
}
"""The source of the module of each kind of function: ``work``, and ``make``, which makes its arguments."""

TEST = """\
import work


def test_work(benchmark):
    benchmark(work.work, *work.make())
"""
SUITE = """\
import work


class Work:
    def setup(self):
        (self.values,) = work.make()

    def time_work(self):
        work.work(self.values)
"""
COMMAND = """\
import work

values, = work.make()
for _ in range({calls}):
    work.work(values)
"""
CALLS = 2500
"""Calls of the function in a command of a shell, so that the start of Python takes a small part of its time."""


@dataclass(frozen=True)
class Pair:
    """A kind of function, and the share by which the work of the head is longer."""

    kind: str
    planted: float

    @property
    def head_units(self) -> int:
        """Units of work of the head."""
        return UNITS + round(self.planted * UNITS)


@dataclass(frozen=True)
class Project:
    """A git repository with a pair: ``head`` and ``base`` are worktrees of its two commits.

    ``both`` is a folder with the two modules, ``base_work`` and ``head_work``. ``store`` is an empty folder.
    """

    folder: Path

    @property
    def head(self) -> Path:
        """The repository, at the commit of the head."""
        return self.folder / "head"

    @property
    def base(self) -> Path:
        """A worktree at the commit of the base."""
        return self.folder / "base"

    @property
    def both(self) -> Path:
        """The folder with both modules."""
        return self.folder / "both"

    @property
    def store(self) -> Path:
        """The folder for what a tool stores."""
        return self.folder / "store"

    def commit(self, side: Path) -> str:
        """The commit of a worktree."""
        return _git("rev-parse", "HEAD", cwd=side).strip()


def lay_out(folder: Path, pair: Pair) -> Project:
    """Write a pair and the benchmarks of all tools into an empty folder. Raises CalledProcessError if git fails."""
    project = Project(folder)
    source = KINDS[pair.kind]
    for path in (project.head, project.both, project.store):
        path.mkdir()
    suite = {
        "version": 1,
        "project": "pair",
        "repo": str(project.head),
        "branches": ["HEAD"],
        "environment_type": "existing",
        "results_dir": str(project.store / "asv"),
    }
    _write(
        project.head,
        {
            "work.py": source.format(units=UNITS),
            "test_work.py": TEST,
            "command.py": COMMAND.format(calls=CALLS),
            "asv.conf.json": json.dumps(suite, indent=1),
            "benchmarks/__init__.py": "",
            "benchmarks/suite.py": SUITE,
            ".gitignore": "__pycache__/\n.asv/\n.pairbench/\n",
        },
    )
    _git("init", "--quiet", cwd=project.head)
    _git("add", ".", cwd=project.head)
    _git("commit", "--quiet", "--message", "base", cwd=project.head)
    _git("worktree", "add", "--quiet", "--detach", str(project.base), cwd=project.head)
    _write(project.head, {"work.py": source.format(units=pair.head_units)})
    # Without a planted slowdown nothing has changed, and the head is a commit all the same.
    _git("commit", "--quiet", "--all", "--allow-empty", "--message", "head", cwd=project.head)
    for side, units in (("base", UNITS), ("head", pair.head_units)):
        _write(project.both, {f"{side}_work.py": source.format(units=units)})
    return project


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _git(*arguments: str, cwd: Path) -> str:
    """The output of git, with an identity and without the settings of the user."""
    identity = {
        f"GIT_{role}_{field}": "pair@example.com" for role in ("AUTHOR", "COMMITTER") for field in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=True)
    return done.stdout
