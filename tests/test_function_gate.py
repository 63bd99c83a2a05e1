"""The gate for anyone's functions: verdicts on planted changes, in projects of several layouts."""

import csv
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pairbench import project_trees, rounds
from pairbench.cli.main import main
from pairbench.project_trees import import_folder
from tests.function_repositories import DATA, FAST, SLOW, gate, lay_out, refused, write
from tests.gates import reduce_effort
from tests.helpers import ROOT

SETUP = ("--setup", "data:make")


@pytest.fixture
def root(tmp_path, monkeypatch, forked_workers):
    """The folder of a repository, which becomes the current folder."""
    folder = tmp_path / "project"
    reduce_effort(monkeypatch)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the lock must not wait for other tests
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return folder


BASE = """
import random
import time


def total(values):
    return sum(values)


def same(values):
    return sum(values)


def drain(values):
    total = 0
    while values:
        total += values.pop()
    return total


def changed(values):
    return 2.0


def noise(values):
    return random.random()


def raises(values):
    return 1


def hangs(values):
    return 2
"""
HEAD = (
    BASE.replace("    return sum(values)", "    return [sum(values) for _ in range(9)][0]", 1)
    .replace("total += values.pop()", "total += sum([values.pop()] + [0] * 90)")
    .replace("2.0", "2.1")
    .replace("return 1", "raise OSError('no disk')")
    .replace("return 2\n", "time.sleep(1000)\n")
    + "\n\ndef fresh(values):\n    return 3\n"
)
NAMES = [f"flat:{name}" for name in ("total", "same", "drain", "changed", "noise", "raises", "hangs", "fresh")]


@pytest.mark.slow
def test_each_change_gets_its_verdict(root, monkeypatch, tmp_path):
    """The arguments of ``drain`` are empty after a call: if calls shared them, its slowdown would vanish."""
    lay_out(root, {"flat.py": BASE, "data.py": DATA})
    monkeypatch.chdir(root)
    monkeypatch.setattr(rounds, "CALL_TIMEOUT", 4.0)
    write(root, {"flat.py": HEAD})
    status, rows, document = gate(*NAMES, *SETUP, "--format", "csv", "--output", str(tmp_path / "rows.csv"))
    assert (status, document["verdict"]) == (1, "FAIL")
    for name in ("total", "drain"):
        slow = rows[f"flat:{name}"]
        assert (slow["verdict"], slow["results"]) == ("FAIL", "equal"), slow
        assert slow["typical_change"] > 2
        assert slow["confirming_rounds"] >= 1
        assert "significantly slower" in slow["reason"]
    assert rows["flat:same"]["verdict"] in ("PASS", "INCONCLUSIVE")
    assert (rows["flat:raises"]["verdict"], rows["flat:raises"]["change"]) == ("FAIL", None)
    assert rows["flat:raises"]["reason"].startswith("the head fails: OSError: no disk")
    assert rows["flat:hangs"]["reason"] == "the head fails: the worker process gave no answer for 4 s"
    assert rows["flat:fresh"]["verdict"] == "new"
    assert rows["flat:fresh"]["reason"] == "the base has no such function: flat has no fresh"
    assert rows["flat:changed"]["verdict"] == "INCONCLUSIVE"
    assert rows["flat:changed"]["reason"].endswith("head and base have different results: result is 2.1 instead of 2.0")
    assert rows["flat:noise"]["results"] == "not compared"
    assert "results" not in rows["flat:noise"]["reason"]
    head, base, control = (rows["flat:total"]["files"][side] for side in ("head", "base", "control"))
    assert (Path(head).read_text(), Path(base).read_text(), Path(control).read_text()) == (HEAD, BASE, BASE)
    assert base != control
    notes = " ".join(document["notes"])
    assert f"head: the working tree; flat from {head}" in notes
    assert f"commit {document['base']['commit']}; flat from {base}" in notes
    with (tmp_path / "rows.csv").open(encoding="utf-8") as file:
        shown = [(row["function"], row["verdict"]) for row in csv.DictReader(file)]
    assert shown == [(name, rows[name]["verdict"]) for name in NAMES]
    untracked = subprocess.run(["git", "status", "--short"], cwd=root, capture_output=True, text=True, check=True)
    assert ".pairbench" not in untracked.stdout


@pytest.mark.slow
@pytest.mark.fresh_workers
def test_a_src_package_is_measured_and_not_the_installed_one(root, monkeypatch, capsys, tmp_path):
    """An installed copy of the package lies, and is found first by Python; a gate that used it would see no change."""
    installed = tmp_path / "installed" / "pkg"
    write(installed, {"__init__.py": "", "mod.py": FAST})
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "installed"), str(ROOT)]))
    files = {"src/pkg/__init__.py": "", "src/pkg/mod.py": FAST, "tests/data.py": DATA}
    lay_out(root, files)
    monkeypatch.chdir(root)
    write(root, {"src/pkg/mod.py": SLOW})
    status, rows, _ = gate("pkg.mod:total", *SETUP)
    assert (status, rows["pkg.mod:total"]["verdict"]) == (1, "FAIL")
    assert {Path(file).parts[-4:] for file in rows["pkg.mod:total"]["files"].values()} == {
        (side, "src", "pkg", "mod.py") for side in ("h", "a", "b")
    }
    assert "pairbench gate: FAIL" in capsys.readouterr().out


SETUP_PY = "from setuptools import setup\n\nsetup(name='pkg', version='1', py_modules=['pkg', 'pkg_made'])\n"
MAKE = "import pathlib\n\npathlib.Path('pkg_made.py').write_text(pathlib.Path('source.txt').read_text())\n"
"""The build step of a package whose module is made from another file."""
BUILD = (
    f"{sys.executable} make.py && pip install --quiet --no-deps --no-build-isolation --disable-pip-version-check -e ."
)


@pytest.mark.slow
def test_a_package_that_is_built(root, monkeypatch, capsys):
    files = {"setup.py": SETUP_PY, "make.py": MAKE, "source.txt": FAST, "pkg.py": "from pkg_made import total\n"}
    lay_out(root, {**files, "data.py": DATA, ".gitignore": "pkg_made.py\nbuild/\n*.egg-info/\n"})
    monkeypatch.chdir(root)
    write(root, {"source.txt": SLOW})
    status, rows, _ = gate("pkg:total", *SETUP, "--build", BUILD)
    assert (status, rows["pkg:total"]["verdict"]) == (1, "FAIL"), rows
    assert rows["pkg:total"]["typical_change"] > 2
    monkeypatch.setattr(subprocess, "run", _no_shell(subprocess.run))
    assert gate("pkg:total", *SETUP, "--build", BUILD, "--budget", "0.1")[0] == 3  # without another build


def _no_shell(run):
    def refuse(*arguments, shell=False, **options):
        assert not shell, "built again"
        return run(*arguments, **options)

    return refuse


@pytest.mark.slow
def test_a_build_that_fails_or_installs_nothing_is_refused(root, monkeypatch, capsys):
    lay_out(root, {"flat.py": FAST, "data.py": DATA})
    monkeypatch.chdir(root)
    line = refused(capsys, "flat:total", *SETUP, "--build", "echo no compiler; exit 3")
    assert line.startswith("pairbench: the build of the head ended with status 3: no compiler (all output: ")
    line = refused(capsys, "numpy:add", "--build", "true")
    assert re.search(r"^pairbench: numpy\S* of the head comes from \S+, not from its worktree ", line)


def test_what_cannot_be_measured_is_refused_in_one_line(root, monkeypatch, capsys):
    functions = "async def later():\n    pass\n\n\ndef some():\n    yield 1\n\n\nnumber = 5\n\n\n"
    functions += "def broken():\n    raise KeyError(1)\n"
    lay_out(root, {"flat.py": functions})
    monkeypatch.chdir(root)
    assert "has no source of the module json, so both sides would be" in refused(capsys, "json:dumps")
    assert refused(capsys, "flat:none") == "pairbench: the head lacks a function: flat has no none"
    assert "a function is named by module and name" in refused(capsys, "flat.total")
    assert "the set-up fails: KeyError" in refused(capsys, "flat:broken", "--setup", "flat:broken")
    assert "git does not know the revision" in refused(capsys, "flat:some", "--against", "nosuch")
    assert "a threshold is a slowdown" in refused(capsys, "flat:some", "--threshold", "x")
    assert main(["gate", "flat:some"]) == 2
    status, rows, _ = gate("flat:later", "flat:some", "flat:number", "flat:broken")
    assert status == 3
    for name, reason in (("later", "is asynchronous"), ("some", "is a generator"), ("number", "is no function")):
        assert rows[f"flat:{name}"]["reason"].startswith(f"head and base fail alike: flat:{name} {reason}")
    assert rows["flat:broken"]["reason"].startswith("head and base fail alike: KeyError")


def test_outside_of_a_checkout_the_gate_says_so(root, monkeypatch, capsys):
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    assert "the gate needs a git checkout" in refused(capsys, "flat:total")


@pytest.mark.parametrize(
    ("module", "files", "folder"),
    [
        ("flat", ["flat.py", "old/flat.py"], "."),
        ("pkg.mod", ["src/pkg/mod.py", "docs/pkg/mod.py"], "src"),
        ("pkg", ["python/pkg/__init__.py"], "python"),
        ("mod", ["src/pkg/mod.py", "src/pkg/__init__.py", "tests/unit/mod.py"], "tests/unit"),
        ("mod", ["src/pkg/mod.py", "src/pkg/__init__.py"], None),
        ("test_it", ["tests/test_it.py"], "tests"),
        ("absent", ["flat.py"], None),
    ],
)
def test_the_folder_from_which_a_module_is_imported(module, files, folder):
    assert import_folder(module, files) == folder


@pytest.mark.slow
def test_an_interrupted_gate_prints_its_rounds(root, monkeypatch, tmp_path):
    lay_out(root, {"flat.py": FAST, "data.py": DATA})
    code = "from tests import function_repositories; function_repositories.run_with_reduced_effort()"
    arguments = ("gate", "flat:total", "--against", "HEAD", *SETUP, "--budget", "1000", "--threshold", "0.001%")
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--json", "gate.json"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "round 3, " in line:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "INCONCLUSIVE: the measurement was interrupted after 2 of the" in " ".join(out.split()), out
    assert (root / "gate.json").exists()


def test_a_worktree_of_a_removed_checkout_is_refused(tmp_path):
    tree = project_trees.ProjectTree("head", tmp_path / "gone", None)
    with pytest.raises(ValueError, match="were removed during the measurement"):
        tree.check_present()
