"""The built package, outside of the checkout: it is complete, and a user's own ``bench.py`` does not hide it."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec

import pytest

from tests.helpers import FEWER_PLUGINS, ROOT, environment_without_xdist

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("setuptools") is None, reason="building a package without isolation needs setuptools"),
]
PACKAGES = ("impls", "pairbench", "bench")
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); "
"""Puts the folder of the package before the current folder, as an installed command does."""

ONE_PROCESS = """
from dataclasses import replace
from bench.cli.main import console
from bench.commands import run
run.QUICK_EFFORT = replace(run.QUICK_EFFORT, processes=1)
console()
"""
"""The command ``mlpbench``, which times in one process instead of six."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the content of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    build = ("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", *build, "--wheel-dir", folder, folder / "source"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def run(code, installed, *arguments, cwd):
    """Run code that imports the installed package, in a folder with a module ``bench``."""
    (cwd / "bench.py").write_text("raise ImportError('this is not the package')\n")
    command = [sys.executable, "-P", "-c", START + code, installed, *arguments]
    environment = environment_without_xdist() | {"NUMBA_CACHE_DIR": str(cwd)}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_has_all_files_of_the_packages(installed):
    def files(root):
        paths = [path for name in PACKAGES for path in (root / name).rglob("*")]
        return {path.relative_to(root) for path in paths if path.is_file() and "__pycache__" not in path.parts}

    assert files(installed) == files(ROOT)


def test_a_run_outside_of_the_checkout(installed, tmp_path):
    few = ("--quick", "--network", "3-3-1", "--operation", "forward", "--batch", "1", "--backend", "numpy_plain")
    done = run(ONE_PROCESS, installed, "run", *few, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "numpy_plain" in done.stdout
    assert list((tmp_path / "results").glob("run-*.json"))


def test_the_benchmark_cases_outside_of_the_checkout(installed, tmp_path):
    options = ("-c", os.devnull, *FEWER_PLUGINS, "-p", "bench.plugin", "--benchmark", "--benchmark-disable")
    cases = ("--pyargs", "bench.pytest_cases", "-k", "3-3-3-1 and numpy_plain")
    done = run("import pytest; sys.exit(pytest.main())", installed, *options, *cases, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
