"""Real schedulers and workers for the tests of the cluster."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import dask

from tests.helpers import ROOT, CountedProgress

QUIET = ("--host", "127.0.0.1", "--no-dashboard")


@contextmanager
def process(kind, *arguments, **variables):
    """Run ``dask scheduler`` or ``dask worker`` until the context ends."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *QUIET, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield running
    finally:
        running.terminate()
        with suppress(subprocess.TimeoutExpired):
            running.wait(timeout=5)
        running.kill()
        running.wait()


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
