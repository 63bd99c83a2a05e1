"""Notices threads that compute while they should not, and names the arm that has started them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Generic, TypeVar

import psutil

OwnerT = TypeVar("OwnerT")

SHARE, SECONDS = 0.1, 0.005
"""Threads disturb if they compute for both more than this share of the time and more than this number of seconds."""
REASON = "leaves threads that compute while others are timed"


def _background_seconds() -> float:
    """CPU seconds of all threads of this process but the current one."""
    return time.process_time() - time.thread_time()


class BackgroundWork(Generic[OwnerT]):
    """Compares the CPU time of this process, between ``begin`` and ``end``, with that of the current thread.

    It notices nothing if libraries may use several threads, which also wait by computing, and where the system does not
    tell the threads of a process.
    """

    def __init__(self, library_threads: int = 1) -> None:
        self._works = library_threads == 1
        self._owners: dict[int, OwnerT | None] = dict.fromkeys(_thread_seconds())
        self._before = self._elapsed = self._computed = 0.0

    def note_new_threads(self, owner: OwnerT) -> None:
        """Hold ``owner`` responsible for the threads that have started since the last call."""
        with suppress(psutil.Error, OSError):
            if psutil.Process().num_threads() != len(self._owners):
                self._owners = {thread: self._owners.get(thread, owner) for thread in _thread_seconds()}

    def begin(self) -> None:
        """Begin a time in which other threads should not compute."""
        self._before = _background_seconds()

    def end(self, running: OwnerT | None, seconds: float) -> OwnerT | None:
        """End that time, which took ``seconds``, and return the owner of disturbing threads, None if there are none.

        Threads of the owner ``running`` do not count.
        """
        owners = set(self._owners.values()) - {None, running}
        if not owners or not self._works:
            return None
        self._computed += _background_seconds() - self._before
        self._elapsed += seconds
        if self._computed <= max(SHARE * self._elapsed, SECONDS):
            return None
        self._elapsed = self._computed = 0.0
        used = {thread: spent for thread, spent in _thread_seconds().items() if self._owners.get(thread) in owners}
        busiest = max(used, key=used.__getitem__, default=None)
        return None if busiest is None or used[busiest] == 0 else self._owners[busiest]


def _thread_seconds() -> dict[int, float]:
    """CPU seconds of each thread of this process, by the thread's number in the system; empty if unknown."""
    with suppress(psutil.Error, OSError):
        return {thread.id: thread.user_time + thread.system_time for thread in psutil.Process().threads()}
    return {}
