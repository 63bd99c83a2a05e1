"""A lock that allows one gate at a time on a machine: two gates at a time would disturb each other's timings."""

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
    """Hold this machine's lock. The operating system releases the lock when the process ends.

    If another gate holds the lock, ``say`` is called with a message, and this process waits.
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
    """The lock file."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()  # in a container a user may have no name
    return Path(tempfile.gettempdir()) / f"pairbench-gate-{user}.lock"
