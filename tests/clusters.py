"""Real schedulers and workers for the tests of the cluster."""

import multiprocessing
import os
import signal
import time
from contextlib import contextmanager
from multiprocessing import forkserver
from pathlib import Path

import dask
import pytest

from tests import dask_program
from tests.helpers import ROOT, CountedProgress

QUIET = ("--host", "127.0.0.1", "--no-dashboard")
FORKED = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
"""How the processes of clusters start: forked from one that has imported LIBRARIES, where processes can be forked."""
LIBRARIES = (
    *("dask.array", "distributed.cli.dask_scheduler", "distributed.cli.dask_worker", "distributed.nanny"),
    *("impls.numba_simd", "mpmath", "sklearn.datasets"),
)


@contextmanager
def forked_workers():
    """Let local clusters fork their workers, whose environment is that of the first, and what a cluster sets."""
    if FORKED == "forkserver":
        forkserver.set_forkserver_preload([*LIBRARIES])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(ROOT))
            forkserver.ensure_running()
    with dask.config.set({"distributed.worker.multiprocessing-method": FORKED}):
        yield


@contextmanager
def process(kind, *arguments, method=FORKED, **variables):
    """Run ``dask scheduler`` or ``dask worker`` in a process that starts by this method, until the context ends."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    every = (kind, [*QUIET, *arguments], environment)
    with forked_workers():
        running = multiprocessing.get_context(method).Process(target=dask_program.run, args=every)
        running.start()
    try:
        yield running
    finally:
        running.terminate()
        running.join(timeout=5)
        running.kill()
        running.join()


@contextmanager
def scheduler(folder, *arguments):
    """Run a scheduler; the context gets its process and the name of its scheduler file."""
    file = Path(folder) / "scheduler.json"
    with process("scheduler", "--port", "0", "--scheduler-file", str(file), *arguments) as running:
        deadline = time.monotonic() + 30
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield running, str(file)


class Killer(CountedProgress):
    """Progress that calls a function once, when ``count`` stages have begun whose text begins with "timing"."""

    def __init__(self, kill, count=1):
        self.kill, self.count, self.texts = kill, count, []

    def stage(self, text, seconds_left=None):
        self.texts.append(text)
        if text.startswith("timing"):
            self.count -= 1
            if self.count == 0:
                time.sleep(0.3)  # the task has begun then
                self.kill()


def kill(pid):
    os.kill(pid, signal.SIGKILL)


def unchanged_environment():
    """Context in which a local cluster sets no variables: its workers would have them, but this process, too."""
    return dask.config.set({"distributed.nanny.pre-spawn-environ": {}})
