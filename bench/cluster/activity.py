"""Which tasks a worker has executed, and when. A plugin of each worker remembers it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from distributed import WorkerPlugin

REMEMBERED = 10_000
EXECUTING = ("executing", "long-running")


class Activity(WorkerPlugin):
    """Remembers the last tasks of a worker, each with the times of its beginning and of its end."""

    def __init__(self) -> None:
        self.running: dict[Any, float] = {}
        self.ended: deque[tuple[Any, float, float]] = deque(maxlen=REMEMBERED)

    def transition(self, key: Any, start: Any, finish: Any, **details: Any) -> None:
        """Note the beginning and the end of a task. Dask calls this in the worker."""
        if finish in EXECUTING:
            self.running.setdefault(key, time.time())
        elif start in EXECUTING:
            self.ended.append((key, self.running.pop(key, 0.0), time.time()))

    def during(self, begin: float, end: float) -> list[Any]:
        """The tasks that were executing at some time between ``begin`` and ``end``."""
        ended = [key for key, started, stopped in self.ended if started < end and stopped > begin]
        return ended + [key for key, started in self.running.items() if started < end]


def executed(name: str, begin: float, end: float, dask_worker: Any = None) -> list[str] | None:
    """The tasks that a worker executed between two times of its clock; None if it has no plugin of this name."""
    plugins: Mapping[str, Any] = dask_worker.plugins
    activity = plugins.get(name)
    return None if activity is None else [str(key) for key in activity.during(begin, end)]
