"""The tools, each with its documented defaults: how it is run on a pair, and how its output is read."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.records.tool_comparison_schema import ToolVerdict
from bench.tool_comparison import verdicts
from bench.tool_comparison.pairs import THRESHOLD, Project
from bench.tool_comparison.verdicts import ToolFailed

PYTHON = sys.executable
PERCENT = f"{100 * THRESHOLD:g}%"
FIELDS = "mean", "median", "min"
RUN_BUDGET = 10
"""Seconds of ``pairbench run``, about the time of hyperfine."""
TIMEOUT = 400.0
"""Seconds after which a command of a tool is ended."""


@dataclass(frozen=True)
class Tool:
    """A tool. ``readings`` says, for each reading of its output, what counts as a regression.

    ``usual_seconds``: time of a run. ``how_to_install``: what to run if the tool is missing.
    """

    name: str
    readings: Mapping[str, str]
    usual_seconds: float
    run: Callable[[Project], dict[str, ToolVerdict]]
    version: Callable[[], str | None]
    how_to_install: str


def pytest_benchmark(project: Project) -> dict[str, ToolVerdict]:
    """Save the times of the base, and compare the head with them."""
    storage = f"--benchmark-storage=file://{project.store / 'benchmarks'}"
    command = [PYTHON, "-m", "pytest", "-p", "no:cacheprovider", storage, "test_work.py"]
    execute([*command, "--benchmark-save=base"], project.base)
    # One option with all fields: of several such options, the last one alone counts.
    checks = ["--benchmark-compare-fail", *(f"{field}:{PERCENT}" for field in FIELDS)]
    done = execute([*command, "--benchmark-compare", *checks], project.head, statuses=range(256))
    return verdicts.of_pytest_benchmark(done.returncode, done.stdout + done.stderr, FIELDS)


def asv(project: Project) -> dict[str, ToolVerdict]:
    """Run the benchmark in both worktrees, and compare the results of the two commits."""
    command = [PYTHON, "-m", "asv"]
    home = {"HOME": str(project.store)}  # asv describes the machine in a file there
    execute([*command, "machine", "--yes", "--machine", "here"], project.head, home)
    commits = [project.commit(side) for side in (project.base, project.head)]
    for side, commit in zip((project.base, project.head), commits, strict=True):
        options = ["--environment", f"existing:{PYTHON}", "--set-commit-hash", commit, "--machine", "here"]
        execute([*command, "run", *options], side, {**home, "ASV_PYTHONPATH": str(side)})
    done = execute([*command, "compare", *commits, "--split", "--factor", f"{1 + THRESHOLD:g}"], project.head, home)
    return {"worse": verdicts.of_asv(done.stdout)}


def hyperfine(project: Project) -> dict[str, ToolVerdict]:
    """Time the command of the base and that of the head."""
    path = project.store / "hyperfine.json"
    execute(["hyperfine", "--export-json", str(path), *map(_command, (project.base, project.head))], project.folder)
    return verdicts.of_hyperfine(_read(path), THRESHOLD)


def pairbench_run(project: Project) -> dict[str, ToolVerdict]:
    """Time the same two commands as hyperfine."""
    sides = [_command(project.base), "---", _command(project.head)]
    document = _pairbench(project, project.folder, "run", "--budget", str(RUN_BUDGET), "--", *sides)
    return {"interval": verdicts.of_speedup(document["rows"][-1]["speedup"], THRESHOLD)}


def pairbench_compare(project: Project) -> dict[str, ToolVerdict]:
    """Time both functions in one process."""
    names = "base_work:work", "head_work:work", "--setup", "base_work:make"
    document = _pairbench(project, project.both, "compare", *names)
    return {"interval": verdicts.of_speedup(document["rows"][-1]["speedup"], THRESHOLD)}


def pairbench_gate(project: Project) -> dict[str, ToolVerdict]:
    """Measure the head against the commit of the base."""
    names = "work:work", "--setup", "work:make", "--threshold", PERCENT, "--against", project.commit(project.base)
    return {"verdict": verdicts.of_gate(_pairbench(project, project.head, "gate", *names))}


def execute(
    command: Sequence[str],
    folder: Path,
    variables: Mapping[str, str] | None = None,
    statuses: Collection[int] = (0,),
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder. Raises ToolFailed unless it ends in time with one of the exit statuses."""
    # A tool that runs in pytest must not take part in a run of pytest around it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**inherited, **(variables or {})}
    name = " ".join(Path(word).name for word in command[:4])
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise ToolFailed(f"{name}: no end after {TIMEOUT:g} s") from None
    if done.returncode not in statuses:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise ToolFailed(f"{name}: status {done.returncode}: {lines[-1] if lines else 'no output'}")
    return done


def _pairbench(project: Project, folder: Path, command: str, *words: str) -> Any:
    path = project.store / f"{command}.json"
    # 3 is an INCONCLUSIVE verdict, and 1 a FAIL.
    execute([PYTHON, "-m", "pairbench", command, "--json", str(path), *words], folder, statuses=(0, 1, 3))
    return _read(path)


def _command(side: Path) -> str:
    return f"'{PYTHON}' '{side / 'command.py'}'"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ToolFailed(f"there are no results in {path.name}") from None


def _of_distribution(name: str) -> Callable[[], str | None]:
    def version() -> str | None:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            return None

    return version


def _hyperfine_version() -> str | None:
    if shutil.which("hyperfine") is None:
        return None
    return execute(["hyperfine", "--version"], Path.cwd()).stdout.strip().rpartition(" ")[2]


_EXTRA = "make tool-comparison installs it"
_INTERVAL = f"estimate above {PERCENT}, interval without 0"
TOOLS = (
    Tool(
        "pytest-benchmark",
        {field: f"--benchmark-compare-fail={field}:{PERCENT}" for field in FIELDS},
        7.0,
        pytest_benchmark,
        _of_distribution("pytest-benchmark"),
        _EXTRA,
    ),
    Tool(
        "asv",
        {"worse": f"compare --factor {1 + THRESHOLD:g}: worse"},
        9.0,
        asv,
        _of_distribution("asv"),
        _EXTRA,
    ),
    Tool(
        "hyperfine",
        {
            "ratio": f"ratio of means above {1 + THRESHOLD:g}",
            "ratio, less its error": "the same, less its standard error",
        },
        9.0,
        hyperfine,
        _hyperfine_version,
        "install the Rust program, such as with apt-get install hyperfine",
    ),
    Tool("pairbench run", {"interval": _INTERVAL}, 12.0, pairbench_run, _of_distribution("mlpbench"), _EXTRA),
    Tool("pairbench compare", {"interval": _INTERVAL}, 7.0, pairbench_compare, _of_distribution("mlpbench"), _EXTRA),
    Tool("pairbench gate", {"verdict": "FAIL"}, 25.0, pairbench_gate, _of_distribution("mlpbench"), _EXTRA),
)
