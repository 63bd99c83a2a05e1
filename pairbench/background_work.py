"""Notices threads that compute while they should not, and names the arm that has started them.

Linux tells the CPU time of each thread in nanoseconds. On other systems nothing is noticed.
"""

from __future__ import annotations

__all__ = ["BackgroundWork"]

import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from pairbench.workload import WorkloadError

TASKS = Path("/proc/self/task")
SHARE, SECONDS = 0.1, 0.005
"""Threads disturb if they compute for both more than this share of the time and more than this number of seconds."""
REASON = "leaves threads that compute while others are timed"


class BackgroundWork:
    """Watches the threads of this process, each of which has an owner: the name of the code that started it.

    Several library threads wait by computing, so with these nothing is noticed.
    """

    def __init__(self, library_threads: int = 1) -> None:
        self._watches = library_threads == 1
        self._owners: dict[str, str | None] = dict.fromkeys(_threads())
        self._before: dict[str, float] = {}
        self._elapsed: dict[str, float] = defaultdict(float)
        self._computed: dict[str, float] = defaultdict(float)

    def note_new_threads(self, owner: str) -> None:
        """Hold ``owner`` responsible for the threads that have started since the last call.

        If another owner has threads, one of those may have started the new ones, so they get no owner.
        """
        threads = _threads()
        others = set(self._owners.values()) - {None, owner}
        self._owners = {thread: self._owners.get(thread, None if others else owner) for thread in threads}

    def begin(self) -> None:
        """Begin a time in which only the threads of one owner should compute."""
        self._before = {thread: _cpu_seconds(thread) for thread, owner in self._owners.items() if owner is not None}

    def end(self, running: str | None, seconds: float) -> str | None:
        """End that time, which took ``seconds``; return another owner whose threads disturb, None if there is none."""
        if not self._watches:
            return None
        for thread, before in self._before.items():
            owner = self._owners.get(thread)
            if owner is not None and owner != running:
                self._computed[owner] += max(0.0, _cpu_seconds(thread) - before)
        for owner in {owner for thread in self._before if (owner := self._owners.get(thread))} - {running}:
            self._elapsed[owner] += seconds
            if self._computed[owner] > max(SHARE * self._elapsed[owner], SECONDS):
                return owner
        return None

    def require_idle(self, name: str, seconds: float) -> None:
        """Wait for ``seconds``, in which nothing is called, after code of ``name`` was called.

        Raises WorkloadError if threads of ``name``, or of an earlier owner, compute in that time.
        """
        self.note_new_threads(name)
        self.begin()
        time.sleep(seconds)
        owner = self.end(None, seconds)
        if owner is not None:
            raise WorkloadError(REASON if owner == name else f"{owner} {REASON}")


def _threads() -> list[str]:
    """The numbers of the threads of this process."""
    with suppress(OSError):
        return [task.name for task in TASKS.iterdir()]
    return []


def _cpu_seconds(thread: str) -> float:
    """CPU seconds of a thread; 0 if it has ended."""
    with suppress(OSError):
        return int((TASKS / thread / "schedstat").read_text().split()[0]) * 1e-9
    return 0.0
