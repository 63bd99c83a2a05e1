"""One gate at a time on a machine: two would measure each other."""

from __future__ import annotations

import getpass
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def alone(say: Callable[[str], None]) -> Iterator[None]:
    """Hold this machine's lock, which goes with the process that holds it; say so where another gate must end first."""
    lock = FileLock(path())
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another gate is running on this machine; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def path() -> Path:
    """The file that is locked."""
    return Path(tempfile.gettempdir()) / f"mlpbench-gate-{getpass.getuser()}.lock"
