"""The example project of docs/ as a git repository, installed into a fresh environment."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pairbench import project_trees
from tests.gates import git
from tests.helpers import ROOT, environment_without_xdist

EXAMPLE = ROOT / "docs" / "examples" / "moving-median"
MODULES = {"loops": "loops", "numpy": "vectorized", "numba": "compiled"}
"""The modules of the project by the names that its benchmarks give them."""

PLANTED = """

_whole = moving_median


def moving_median(values, window):
    for _ in range({calls}):
        _whole(values[: {share} * len(values) // 100], window)
    return _whole(values, window)
"""


@dataclass(frozen=True)
class ExampleProject:
    """A repository with the example, which is installed into a virtual environment beside it."""

    root: Path
    python: Path

    @classmethod
    def install(cls, folder: Path) -> "ExampleProject":
        """Copy the example into the folder, and install it as editable, without a download."""
        # What the project depends on comes from the environment of this process.
        python = project_trees.create_environment(folder / "environment") / "python"
        project = cls(folder / "project", python)
        project.start_anew()
        options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
        project.run("-m", "pip", "install", *options, "--editable", ".", check=True)
        return project

    def start_anew(self) -> None:
        """Make the repository, with the example as its only commit; the installation stays valid."""
        shutil.rmtree(self.root, ignore_errors=True)
        shutil.copytree(EXAMPLE, self.root, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", ".pairbench"))
        git("init", "--quiet", cwd=self.root)
        self._commit("base")

    def plant(self, function: str, share: int, calls: int = 1) -> None:
        """Commit a slowdown: a function also computes this percentage of the medians, so many times."""
        self._append(function, PLANTED.format(calls=calls, share=share))

    def change_nothing(self, function: str) -> None:
        """Commit a comment."""
        self._append(function, "\n# A comment.\n")

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the project."""
        variables = {**environment_without_xdist(), "PYTHONPATH": str(ROOT)} | options.pop("variables", {})
        return subprocess.run(
            [self.python, *arguments],
            **{"cwd": self.root, "env": variables, "capture_output": True, "text": True, "check": False, **options},
        )

    def _append(self, function: str, text: str) -> None:
        path = self.root / "src" / "moving_median" / f"{MODULES[function]}.py"
        path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
        self._commit(text.strip())

    def _commit(self, message: str) -> None:
        git("add", ".", cwd=self.root)
        git("commit", "--quiet", "--message", message, cwd=self.root)


def verdicts(output: str) -> dict[str, str]:
    """The verdict on each candidate in the table of ``pytest --paired-against``."""
    return dict(re.findall(r"^ *test_\w+: (\w+) .* (PASS|FAIL|INCONCLUSIVE|new)$", output, re.MULTILINE))
