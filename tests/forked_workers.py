"""Worker processes of quick tests are forked from a process that has imported NumPy, which takes most of their start.

A round of the gate starts its workers in this way, too; here one server forks those of many tests. Some tests have
workers that start as those of users do: those with the mark ``fresh_workers``, those without the fixture
``forked_workers``, such as ``test_rounds``, and those that start a command in a process of its own.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pairbench import project_trees, worker_processes, worktrees
from pairbench.forked_processes import ForkServer

LIBRARIES = (
    "importlib.metadata",
    "mpmath",
    "numpy",
    "pairbench.gate_worker",
    "pairbench.project_worker",
    "psutil",
    "threadpoolctl",
)

SERVERS: set[int] = set()
"""Ids of the server processes that fork the workers of tests, and outlive them."""


@contextmanager
def serve_workers(folder: Path, libraries: Sequence[str] = LIBRARIES) -> Iterator[ForkServer | None]:
    """Start a server that has imported these libraries and forks workers of all kinds, with its files in a folder.

    Yields None where processes cannot be forked; the workers are then started as those of users are.
    """
    before = set(psutil.Process().children())
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(folder))
            starting = stack.enter_context(worker_processes.start_server(libraries, "pairbench.worker"))
        SERVERS.update(process.pid for process in set(psutil.Process().children()) - before)
        yield starting.ready


def fork_workers(patch: pytest.MonkeyPatch, server: ForkServer | None) -> None:
    """Let the server fork the workers that this process would start with one thread and the same Python."""
    if server is None:
        return
    start_worker = worker_processes.start_worker

    def start(*arguments, thread_count=1, prefix=(), python=None, **options):
        if thread_count == 1 and not prefix and python in (None, sys.executable):
            options["server"] = server
        return start_worker(*arguments, thread_count=thread_count, prefix=prefix, python=python, **options)

    for module in (worker_processes, worktrees, project_trees):
        patch.setattr(module, "start_worker", start)
    for module in (worktrees, project_trees):
        patch.setattr(module, "start_server", lambda *_: nullcontext(SimpleNamespace(ready=server)))
