"""A third party's backend for the tests: a module, and the metadata of a package with an entry point for it."""

import os
from pathlib import Path

MODULE = """
import gc, os, time
from impls.numpy_plain import Model as NumPy

class Model(NumPy):
    "NumPy, with something added."

{body}
"""

OFF = "    def _forward_batch(self, X): return super()._forward_batch(X) + 1e-9"
"""A class body whose outputs of a batch are slightly wrong, by more than the error bound."""


def install(folder: Path, name: str, body: str = "    pass", module: str = MODULE) -> None:
    """Write a backend into a folder on the path. ``body`` is the body of its class."""
    (folder / f"{name}_module.py").write_text(module.format(body=body))
    info = folder / f"{name}_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[mlpbench.backends]\n{name} = {name}_module:Model\n")


def path_with(folder: Path) -> str:
    """PYTHONPATH for a child process that can import from the folder."""
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
