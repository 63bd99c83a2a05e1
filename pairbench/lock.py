"""One gate at a time on a machine: two gates would measure each other."""

from __future__ import annotations

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def machine_lock(say: Callable[[str], None]) -> Iterator[None]:
    """Hold this machine's lock. The system releases it when the process that holds it ends.

    ``say`` is told where another gate must end first.
    """
    lock = FileLock(lock_path())
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say("another gate is running on this machine; waiting for it to end")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def lock_path() -> Path:
    """The file that is locked."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()  # a container's user may have no name
    return Path(tempfile.gettempdir()) / f"pairbench-gate-{user}.lock"
