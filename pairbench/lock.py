"""A lock that allows one measurement at a time on a machine: two at a time would disturb each other's timings.

The gates and the measurements of a cluster take it.
"""

from __future__ import annotations

__all__ = ["machine_lock"]

import getpass
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def machine_lock(say: Callable[[str], None], patience: float = -1) -> Iterator[bool]:
    """Hold this machine's lock. The operating system releases the lock when the process ends.

    If another process holds the lock, ``say`` is called with a message, and this process waits: for ``patience``
    seconds, or for ever if that is negative. The context gets whether the lock is held.
    """
    lock = FileLock(lock_path())
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another measurement is running on this machine{_holder()}; waiting for it to end")
        with suppress(Timeout):
            lock.acquire(timeout=patience)
    if not lock.is_locked:
        yield False
        return
    holder = _holder_path()
    with suppress(OSError):  # only the message to others needs this file
        holder.write_text(f"process {os.getpid()} in {str(Path.cwd())!a}, since {datetime.now():%H:%M:%S on %d %B}")
    try:
        yield True
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def lock_path() -> Path:
    """The lock file."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()  # in a container a user may have no name
    return Path(tempfile.gettempdir()) / f"pairbench-gate-{user}.lock"


def _holder_path() -> Path:
    """The file that says who holds the lock. The lock file itself is emptied by everyone who tries to get the lock."""
    return lock_path().with_suffix(".holder")


def _holder() -> str:
    """Who holds the lock, and since when, in parentheses; empty if the holder has not said it."""
    try:
        text = _holder_path().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({text})" if text else ""
