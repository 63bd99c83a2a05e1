"""The example package in docs/: mlpbench finds its backend, proves it right, and rejects copies with a fault."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

import impls
from bench.proof.verify import OPERATIONS, verify_backend
from tests.helpers import TINY_EFFORT
from tests.third_party import path_with

# Every test starts processes.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "examples" / "mlpbench-example-backend"
MODULE = "mlpbench_numpy_einsum.py"
NAME = "numpy_einsum"

SABOTAGE = {
    "a bias left out": (" + b\n        return inputs, z", "\n        return inputs, z", "forward: "),
    "a derivative left out": (" * DERIVATIVES[self.network.hidden](a)", "", "gradient: "),
    "an update in the wrong direction": ("W -= descent", "W += descent", "train: new value of W"),
    "warnings that are not suppressed": (
        "partial(self._quietly, self._write_sample)",
        "self._write_sample",
        "contract: ",
    ),
}
"""By name of the fault: the replaced code, its replacement, and the beginning of the reason that the proof gives."""


REJECTION = f"""
import impls
from bench.proof.verify import kill_mutant
rejection = kill_mutant(impls.load({NAME!r}))
print(f"{{rejection.operation}}: {{rejection.evidence.reason}}")
"""
"""Prints the first operation that fails, and the reason."""


def install(folder, *replacement):
    """Write the module and the metadata that pip would install into the folder, with code replaced in the module."""
    source = (EXAMPLE / MODULE).read_text(encoding="utf-8")
    if replacement:
        old, new = replacement
        assert source.count(old) == 1
        source = source.replace(old, new)
    folder.mkdir()
    (folder / MODULE).write_text(source, encoding="utf-8")
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    points = project["entry-points"]["mlpbench.backends"]
    lines = ["[mlpbench.backends]", *(f"{name} = {target}" for name, target in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def environment(folder):
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), path_with(folder)])}


def script(folder, code):
    """The output of Python code that can import the package in the folder."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(folder), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_backend_is_proved_right(tmp_path, monkeypatch):
    """All checks of ``mlpbench verify``, in this process, which computes the exact results once for all backends."""
    monkeypatch.syspath_prepend(install(tmp_path / "packages"))
    outcomes = list(verify_backend(impls.load(NAME)))
    assert [f"{row.dtype} {row.operation}: {row.evidence.reason}" for row in outcomes if not row.evidence.ok] == []
    assert {row.dtype for row in outcomes} == {"float64", "float32"}
    assert {row.operation for row in outcomes} == {*OPERATIONS, "contract", "scikit-learn"}


@pytest.mark.parametrize(("old", "new", "reason"), SABOTAGE.values(), ids=SABOTAGE)
def test_a_sabotaged_copy_is_rejected_with_the_reason(tmp_path, old, new, reason):
    assert reason in script(install(tmp_path / "packages", old, new), REJECTION)


def install_with_pip(folder, source):
    """Build the package from a copy of its sources, because a build writes files next to them, and install it."""
    shutil.copytree(EXAMPLE, source)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    pip = [sys.executable, "-m", "pip", "install", *options, "--target", folder, source]
    subprocess.run(pip, check=True, capture_output=True, text=True)


def test_the_installed_backend_can_be_timed(tmp_path):
    target = tmp_path / "packages"
    if find_spec("setuptools"):  # which a build without isolation needs
        install_with_pip(target, tmp_path / "source")
    else:
        install(target)
    assert script(target, f"import impls; print(impls.origins()[{NAME!r}])").strip() == "third party"
    few = ("--quick", "--network", "3-3-1", "--operation", "forward", "--batch", "1")
    command = [*TINY_EFFORT, "compare", "numpy_plain", NAME, *few]
    done = subprocess.run(command, env=environment(target), cwd=target, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"time of numpy_plain ÷ time of {NAME}" in done.stdout
