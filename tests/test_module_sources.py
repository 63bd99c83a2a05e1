"""Which modules count as changed, against the modules that a fresh process really imports."""

import json
import subprocess
import sys

import pytest

import impls
from pairbench.module_sources import module_sources, same_sources
from pairbench.worktrees import Revision
from tests.helpers import ROOT

FILES = {
    "pkg/__init__.py": b"from pkg import _base\n",
    "pkg/_base.py": b"",
    "pkg/one.py": b"from pkg._deep import kernel\n",
    "pkg/two.py": b"from . import _base\ndef late():\n    import pkg._late\n",
    "pkg/broken.py": b"def (\n",
    "pkg/_late.py": b"import numpy\n",
    "pkg/_deep/__init__.py": b"",
    "pkg/_deep/kernel.py": b"from .registers import WIDTH\n",
    "pkg/_deep/registers.py": b"WIDTH = 4\n",
    "pkg/data.txt": b"",
}


def revision(**changes):
    files = {**FILES, **changes}
    return Revision("a revision", None, "pkg", {path: text for path, text in files.items() if text is not None})


def unchanged(changes):
    head, base = revision(**changes), revision()
    return {name for name in ("one", "two", "broken", "absent") if same_sources(f"pkg.{name}", head, base)}


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("pkg/one.py", {"two", "broken"}),
        ("pkg/two.py", {"one", "broken"}),
        ("pkg/broken.py", {"one", "two"}),
        ("pkg/_late.py", {"one", "broken"}),
        ("pkg/_deep/registers.py", {"two", "broken"}),
        ("pkg/_deep/__init__.py", {"two", "broken"}),
        ("pkg/_base.py", set()),
        ("pkg/__init__.py", set()),
        ("pkg/data.txt", set()),
        ("pkg/data_of_a_user.txt", set()),
        ("pkg/three.py", {"one", "two", "broken"}),
    ],
)
def test_a_change_reaches_the_modules_that_import_it(path, same):
    assert unchanged({}) == {"one", "two", "broken"}
    assert unchanged({path: b"# changed\n"}) == same
    if path in FILES:
        assert unchanged({path: None}) == same  # a file that the head lacks


IMPORTED = """
import importlib, json, sys
importlib.import_module("impls." + sys.argv[1])
print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.split(".")[0] == "impls" and m.__file__]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, origin in impls.origins().items() if origin == "core"])
def test_no_module_that_a_backend_imports_is_missed(name):
    files = {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "impls").rglob("*.py")}
    command = [sys.executable, "-c", IMPORTED, name]
    imported = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout)
    found = module_sources(f"impls.{name}", files)
    assert {path.removeprefix(f"{ROOT}/") for path in imported} <= found.keys()
    others = {f"impls/{other}.py" for other in impls.names()} - {f"impls/{name}.py"}
    assert len(others & found.keys()) <= 2  # the other backends are not part of it, unless it is built upon them
