"""Settings of a worker process that all arms share, and that are restored after each.

Imports are exempt, because many libraries change settings when they are imported.
"""

from __future__ import annotations

import _thread
import faulthandler
import gc
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]


@dataclass(frozen=True)
class ProcessSetting:
    """A setting of the process, with functions that read and restore it."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _set_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]


def _numpy_random_state() -> tuple[Any, ...]:
    state: Any = np.random.get_state()  # noqa: NPY002, for this is the state that a backend may change
    name, keys, *others = state
    return name, keys.tobytes(), *others


def _set_numpy_random_state(state: tuple[Any, ...]) -> None:
    name, keys, *others = state
    np.random.set_state((name, np.frombuffer(keys, np.uint32), *others))  # noqa: NPY002


def _set_collection(enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()


def _numbers(module: ModuleType | None, prefix: str) -> list[int]:
    """The constants of a module whose names begin with ``prefix``; none if the system lacks the module."""
    return [value for name, value in vars(module).items() if name.startswith(prefix)] if module is not None else []


TIMERS, LIMITS, SIGNALS = _numbers(signal, "ITIMER_"), _numbers(resource, "RLIMIT_"), list(signal.Signals)


def _running_timers() -> list[int]:
    """The interval timers that are set; each sends a signal."""
    return [timer for timer in TIMERS if signal.getitimer(timer) != (0.0, 0.0)]


def _stop_timers(known: list[int]) -> None:
    for timer in _running_timers():
        if timer not in known:
            signal.setitimer(timer, 0)


def _resource_limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(kind) for kind in LIMITS]


def _set_resource_limits(limits: list[tuple[int, int]]) -> None:
    for kind, limit in zip(LIMITS, limits, strict=True):
        with suppress(ValueError, OSError):  # a lowered hard limit cannot be raised again
            resource.setrlimit(kind, limit)


def _signal_handlers() -> list[Any]:
    return [*map(signal.getsignal, SIGNALS)]


def _set_signal_handlers(handlers: list[Any]) -> None:
    for number, handler in zip(SIGNALS, handlers, strict=True):
        if handler is not None and signal.getsignal(number) is not handler:  # None: not set from Python
            signal.signal(number, handler)


SETTINGS = (
    ProcessSetting("whether the garbage collection is on", gc.isenabled, _set_collection),
    ProcessSetting(
        "the thresholds of the garbage collection", gc.get_threshold, lambda value: gc.set_threshold(*value)
    ),
    ProcessSetting("the trace function", sys.gettrace, sys.settrace),
    ProcessSetting("the profile function", sys.getprofile, sys.setprofile),
    ProcessSetting("the switch interval of threads", sys.getswitchinterval, sys.setswitchinterval),
    ProcessSetting("NumPy's error state", np.geterr, lambda value: np.seterr(**value)),
    ProcessSetting("the filters of warnings", lambda: list(warnings.filters), _set_filters),
    ProcessSetting("the handlers of signals", _signal_handlers, _set_signal_handlers),
    ProcessSetting("an interval timer", _running_timers, _stop_timers),
    ProcessSetting("the limits of resources", _resource_limits, _set_resource_limits),
    ProcessSetting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ProcessSetting("the state of random", random.getstate, random.setstate),
    ProcessSetting("the state of numpy.random", _numpy_random_state, _set_numpy_random_state),
    ProcessSetting("the environment", lambda: dict(os.environ), _set_environment),
    ProcessSetting("the current folder", os.getcwd, os.chdir),
)


class SettingsWatch:
    """Notices changed settings and new threads, and restores the settings."""

    def __init__(self) -> None:
        self._values = [setting.read() for setting in SETTINGS]
        self._threads = _thread._count()  # ``threading`` counts only its own

    def restore(self) -> list[str]:
        """Restore the settings, and return a description of each change."""
        faulthandler.cancel_dump_traceback_later()  # it could end the process in a sample of another arm
        changes = []
        for setting, value in zip(SETTINGS, self._values, strict=True):
            if setting.read() != value:
                changes.append(f"changes {setting.name}")
                setting.restore(value)
        if (threads := _thread._count()) > self._threads:
            changes.append("leaves threads running")
            self._threads = threads
        return changes
