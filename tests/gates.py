"""Helpers for the tests of the gate. Their repositories have a few backends without Numba, so nothing is compiled."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bench.cli.main import main
from bench.gate import session
from bench.records import files
from bench.records.gate_schema import Gate
from pairbench import round_effort, sequential_test
from pairbench.worker_processes import TEMPORARY
from tests.forked_workers import SERVERS
from tests.helpers import ROOT

BACKENDS = ("python_loops", "numpy_plain", "numpy_vectorized", "python_loops_ndarray")
QUICK = ("--against", "HEAD", "--network", "3-3-1", "--budget", "20", "--threshold", "100%")
ROUNDS, BLOCKS = 3, 3
LESS_EFFORT = f"""
import atexit
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, {str(ROOT)!r})

from tests import forked_workers, gates

gates.reduce_effort(pytest.MonkeyPatch())
sys.path.remove({str(ROOT)!r})
for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "bench")]:
    del sys.modules[name]  # the project may have a folder of this name, too


def pytest_sessionstart(session):
    if session.config.getoption("paired_against") is not None:
        stack = ExitStack()
        atexit.register(stack.close)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(forked_workers.serve_workers(folder))
        forked_workers.fork_workers(pytest.MonkeyPatch(), server)
"""
"""A plugin of pytest that reduces the effort of a gate in a project with folders of the same names as ours."""


def reduce_effort(patch):
    """Let gates in this process decide after fewer rounds, with fewer blocks each, so that they take less time."""
    patch.setattr(sequential_test, "MIN_ROUNDS", ROUNDS)
    patch.setattr(sequential_test, "PASS_ROUNDS", ROUNDS)
    # At which the permutation test can reject after so few rounds.
    patch.setattr(sequential_test, "FAIL_ALPHA", 0.04)
    patch.setattr(sequential_test, "CONFIRMATION_ALPHA", 0.1)
    patch.setattr(session, "PROCESSES", 2)
    patch.setattr(round_effort, "MAX_BLOCKS", BLOCKS)
    patch.setattr(round_effort, "MIN_BLOCKS", BLOCKS)


def git(*arguments, cwd):
    identity = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, env={**os.environ, **identity})


def lay_out(root):
    """Create a git repository with BACKENDS, all committed."""
    package = root / "impls"
    package.mkdir(parents=True)
    for file in (ROOT / "impls").glob("*.py"):
        if file.name.startswith("_") or file.stem in BACKENDS:
            shutil.copy(file, package)
    (root / ".gitignore").write_text(".mlpbench/\nresults/\n")
    git("init", "--quiet", cwd=root)
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message", "base", cwd=root)


PLANT = """

import os, signal, sys, time
_Model, calls = Model, 0


class Model(_Model):
    def _store(self, parameters):
        super()._store(parameters)
        work = self._forward_sample

        def sample(x, out):
            global calls
            calls += 1
            late = calls > 60 and 'pairbench.gate_worker' in sys.orig_argv
            work(x, out)
            {fault}

        self._forward_sample = sample
"""


def plant(root, backend, fault):
    """Plant a fault in a backend's forward pass of one sample. In ``fault``, ``late`` is true in most of a round."""
    path = root / "impls" / f"{backend}.py"
    path.write_text(path.read_text() + PLANT.format(fault=fault))


def gate(*arguments, name="gate.json", rows=("--all-rows",)):
    status = main(["gate", *QUICK, *rows, "--json", name, *arguments])
    document = files.read(Path(name), Gate)
    return status, {row.backend: row for row in document.rows}, document


def run_with_reduced_effort():
    """Run the command line of this process with less effort."""
    reduce_effort(pytest.MonkeyPatch())
    sys.exit(main())


def start(*arguments):
    """Start a gate with reduced effort in a process group of its own."""
    command = [
        sys.executable,
        "-c",
        "from tests import gates; gates.run_with_reduced_effort()",
        "gate",
        *QUICK,
        "--all-rows",
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(Path.cwd().parent)}
    return subprocess.Popen(
        [*command, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def worker_pids():
    """Ids of the worker processes of the tests of this process, and of those that fork them for one test."""
    of_tests = Path.cwd().parents[1]  # holds a folder for each test, and one for the server
    pids = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            temporary = Path(process.environ().get("TMPDIR", ""))  # that of ``start``, or one in it
            is_worker = temporary.name.startswith(TEMPORARY) and temporary.parent.parent == of_tests
            if is_worker and process.pid not in SERVERS:
                pids.append(process.pid)
    return pids


def left_behind():
    """Ids of worker processes that are still there after ten seconds.

    A process that is just being started ends only when it notices that its parent is gone.
    """
    deadline = time.monotonic() + 10
    while (pids := worker_pids()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return pids
