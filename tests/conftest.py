import os
import sys

import numpy as np
import pytest

import impls
from impls import Backend, Network
from pairbench import lock
from tests import gates
from tests.helpers import ROOT
from tests.third_party import install, path_with

CORE = [name for name, origin in impls.origins().items() if origin == "core"]


@pytest.fixture(params=CORE)
def backend(request: pytest.FixtureRequest) -> Backend:
    return impls.load(request.param)


@pytest.fixture
def example() -> tuple[Network, list[tuple[np.ndarray, np.ndarray]], list[float]]:
    """The 3-3-1 network of the first tutorial; its output is 1 / (1 + exp(-1.6246…)) = 0.83545566…"""
    W1 = np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4], [0.6, 0.6, 0.6]]).T
    W2 = np.array([[0.5, 0.5, 0.5]]).T
    return Network((3, 3, 1)), [(W1, np.full(3, 0.8)), (W2, np.array([0.2]))], [1.5, 2.0, 3.0]


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Installs backends for child processes and this one, and loads what has a body: ``third_party(name, body)``."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), path_with(folder)]))
    monkeypatch.syspath_prepend(folder)

    def add(name, body="    pass", module=None):
        monkeypatch.delitem(sys.modules, f"{name}_module", raising=False)  # that of another test
        if module is not None:  # it may be none that can be loaded
            return install(folder, name, module=module)
        install(folder, name, body)
        return impls.load(name)

    return add


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """The test is in an empty folder, and its child processes find the project all the same."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository for the gate, in which the test is."""
    root = tmp_path / "repository"
    gates.lay_out(root)
    monkeypatch.chdir(root)
    # A machine may be slow, and this one may be busy: a lock of the tests' own keeps other gates out of them.
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(tmp_path))
    return root
