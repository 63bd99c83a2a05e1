"""``pytest --paired-against``: the candidates of tests against those of a revision."""

import os
import re
import subprocess
import sys

import pytest

from tests.function_repositories import lay_out, write
from tests.gates import LESS_EFFORT
from tests.helpers import FEWER_PLUGINS, ROOT, environment_without_xdist

pytestmark = pytest.mark.slow

FLAT = """
def total(values):
    return sum(values)


def same(values):
    return sum(values)
"""
TESTS = """
import operator

import flat


def reference(values):
    return sum(values)


def test_slow(paired):
    paired(reference, {"total": flat.total, "builtin": sum}, (list(range(3000)),)).assert_speedup("total", at_least=50)


def test_same(paired):
    paired(reference, {"same": flat.same}, setup=lambda: (list(range(3000)),)).assert_equal()


def test_new(paired):
    paired(reference, {"fresh": flat.fresh}, args=(list(range(30)),)).assert_equal()


def test_unequal(paired):
    paired(reference, {"length": len}, ([5, 6],)).assert_equal()


def test_lambda(paired):
    paired(reference, {"inline": lambda values: sum(values)}, ([5, 6],))


def test_that_pairs_nothing():
    pass
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository with tests in a folder of their own, whose head is slower in one function and has a new one."""
    folder = tmp_path / "project"
    lay_out(folder, {"flat.py": FLAT, "tests/test_flat.py": TESTS, "pytest.ini": "[pytest]\npythonpath = .\n"})
    slow = FLAT.replace("return sum(values)", "return [sum(values) for _ in range(9)][0]", 1)
    write(folder, {"flat.py": f"{slow}\n\ndef fresh(values):\n    return sum(values)\n"})
    write(tmp_path, {"less_effort.py": LESS_EFFORT})
    return folder


def run(root, *options):
    """Run pytest in the repository."""
    plugins = (*FEWER_PLUGINS, "-p", "no:randomly", "-p", "less_effort", "-p", "pairbench.plugin")
    path = os.pathsep.join([str(root.parent), str(ROOT)])
    environment = {**environment_without_xdist(), "PYTHONPATH": path, "TMPDIR": str(root.parent), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_verdict_decides_its_test(root):
    done = run(root, "--paired-against=HEAD", "--paired-threshold=100%", "-rfs", "--junitxml=../junit.xml")
    out = done.stdout
    assert done.returncode == 1, out + done.stderr
    assert re.search(r"^FAILED tests/test_flat\.py::test_slow - Failed: total \(flat:total\): FAIL", out, re.MULTILINE)
    assert "significantly slower, typically by" in out
    assert "FAILED tests/test_flat.py::test_unequal - AssertionError: length is not equal to the reference" in out
    assert "another process cannot import inline" in out
    assert "FAILED tests/test_flat.py::test_new" not in out
    assert "FAILED tests/test_flat.py::test_same" not in out
    assert re.search(r"test_new: fresh .* new$", out, re.MULTILINE), out
    assert re.search(r"^test_slow: total .* FAIL$", out, re.MULTILINE) or "test_slow: total" in out
    assert f"flat from {root / '.pairbench' / 'gate'}" in out
    assert "builtin is builtins:sum, which is no part of the project, and is not compared" in done.stderr + out
    assert "paired_gate" in (root.parent / "junit.xml").read_text()


def test_without_the_option_nothing_is_measured(root):
    done = run(root, "-k", "slow or same or new")
    assert done.returncode == 0, done.stdout
    assert not (root / ".pairbench").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--paired-against=nosuch"], "git does not know the revision 'nosuch'"),
        (["--paired-against=HEAD", "--paired-threshold=x"], "a threshold is a slowdown above 0%"),
        (["--paired-against="], "the revision of --paired-against is empty"),
    ],
)
def test_wrong_options_get_one_line(root, options, reason):
    done = run(root, *options)
    assert done.returncode == 2
    assert reason in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
