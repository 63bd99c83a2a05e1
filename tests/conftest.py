import gc
import os
import signal
import sys
from itertools import filterfalse

import numpy as np
import pytest
from hypothesis import settings

import impls
from impls import Backend, Network
from pairbench import lock
from tests import gates
from tests.forked_workers import fork_workers, serve_workers
from tests.helpers import ROOT
from tests.third_party import install, path_with

# Output to a file has no width and is buffered, and child processes cache bytecode, unless a test sets a variable.
for variable in ("COLUMNS", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(variable, None)

# No deadlines, because a busy machine is slow.
settings.register_profile("mlpbench", deadline=None)
settings.load_profile("mlpbench")

# A shell's background job ignores SIGINT, and its children inherit that; the tests interrupt theirs.
signal.signal(signal.SIGINT, signal.default_int_handler)

CORE = [name for name, origin in impls.origins().items() if origin == "core"]


@pytest.hookimpl(trylast=True)  # after the plugin has left out the benchmarks, so that the halves are equal
def pytest_collection_modifyitems(items):
    """Order the tests so that two worker processes, each of which begins with one half, share little work.

    One half begins with the tests that compile most, and with those of one expensive module-wide fixture. The other
    half begins with the tests of the gate, which compile nothing; meanwhile the compiled code is cached.
    """

    def order(item):
        return "test_threads" not in item.nodeid, "results" not in getattr(item, "fixturenames", ())

    def is_gate(item):
        return item.path.name.startswith("test_gate")

    gate = list(filter(is_gate, items))
    others = sorted(filterfalse(is_gate, items), key=order)
    middle = len(items) // 2
    items[:] = [*others[:middle], *gate, *others[middle:]]


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
    """A function that installs a backend for this process and its children: ``third_party(name, body)``.

    It returns the loaded backend. With ``module``, the source of a whole module, it only installs the backend.
    """
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), path_with(folder)]))
    monkeypatch.syspath_prepend(folder)

    def install_backend(name, body="    pass", module=None):
        monkeypatch.delitem(sys.modules, f"{name}_module", raising=False)  # the module of another test
        if module is not None:  # it may be broken on purpose
            return install(folder, name, module=module)
        install(folder, name, body)
        return impls.load(name)

    return install_backend


@pytest.fixture
def empty_folder(tmp_path, monkeypatch):
    """Change into an empty folder; child processes still find the project through PYTHONPATH."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


@pytest.fixture(scope="module", autouse=True)
def lasting_objects():
    """Keep garbage collections, of which those that time functions make many, from going through all libraries."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def worker_server(tmp_path_factory):
    """A process that forks workers for the tests of this process."""
    with serve_workers(tmp_path_factory.mktemp("workers")) as server:
        yield server


@pytest.fixture
def forked_workers(request, worker_server, monkeypatch):
    """Let a server fork the workers that this process starts, unless the test has the mark ``fresh_workers``."""
    if request.node.get_closest_marker("fresh_workers") is None:
        fork_workers(monkeypatch, worker_server)


@pytest.fixture
def repository(tmp_path, monkeypatch, forked_workers):
    """Change into a git repository that the gate can measure. Gates in this process have their workers forked."""
    root = tmp_path / "repository"
    gates.lay_out(root)
    gates.reduce_effort(monkeypatch)
    monkeypatch.chdir(root)
    # A lock of its own, so that the test does not wait for a gate outside the tests.
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(tmp_path))
    return root
