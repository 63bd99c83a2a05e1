"""The state of a worker process that all arms share: functions that none may replace, and settings to be restored.

Imports are exempt from the settings, because many libraries change settings when they are imported.
"""

from __future__ import annotations

import builtins
import gc
import itertools
import operator
import os
import pickle
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from pairbench.workload import WorkloadError

STANDARD_MODULES: tuple[ModuleType, ...] = (
    *(builtins, gc, itertools, operator, pickle, random, time),
    *(np, np.random),
)
"""Modules that the harness uses for drawing, timing and sending."""
CONSTANTS = (int, float, str, tuple, frozenset)


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


def _timer_is_set() -> bool:
    return hasattr(signal, "getitimer") and signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0)


def _stop_timer(was_set: bool) -> None:
    if not was_set:
        signal.setitimer(signal.ITIMER_REAL, 0)


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
    ProcessSetting("the interval timer", _timer_is_set, _stop_timer),
    ProcessSetting("the state of random", random.getstate, random.setstate),
    ProcessSetting("the state of numpy.random", _numpy_random_state, _set_numpy_random_state),
    ProcessSetting("the environment", lambda: dict(os.environ), _set_environment),
    ProcessSetting("the current folder", os.getcwd, os.chdir),
)


class SettingsWatch:
    """Notices changed settings and new threads, and restores the settings."""

    def __init__(self) -> None:
        self._values = [setting.read() for setting in SETTINGS]
        self._threads = threading.active_count()

    def restore(self) -> list[str]:
        """Restore the settings, and return a description of each change."""
        changes = []
        for setting, value in zip(SETTINGS, self._values, strict=True):
            if setting.read() != value:
                changes.append(f"changes {setting.name}")
                setting.restore(value)
        if (threads := threading.active_count()) > self._threads:
            changes.append("leaves threads running")
            self._threads = threads
        return changes


@dataclass(frozen=True)
class _Watched:
    """A function that belongs to a module or class, and the code and defaults that it had."""

    owner: Any
    attribute: str
    value: Any
    code: Any
    defaults: Any

    @classmethod
    def of(cls, owner: Any, attribute: str, value: Any) -> _Watched:
        is_function = isinstance(value, FunctionType)
        code, defaults = (value.__code__, value.__defaults__) if is_function else (None, None)
        return cls(owner, attribute, value, code, defaults)

    def is_replaced(self) -> bool:
        value = self.value
        if vars(self.owner).get(self.attribute) is not value:
            return True
        return self.code is not None and (value.__code__ is not self.code or value.__defaults__ is not self.defaults)

    def restore(self) -> None:
        setattr(self.owner, self.attribute, self.value)
        if self.code is not None:
            self.value.__code__, self.value.__defaults__ = self.code, self.defaults


class FunctionWatch:
    """Notices replaced functions of some packages and of ``STANDARD_MODULES``, and puts them back."""

    def __init__(self, *packages: str):
        self._packages: set[str] = set()
        self._watched: dict[str, _Watched] = {}
        self.extend(*packages)

    def extend(self, *packages: str) -> None:
        """Watch the functions of more packages, and of the modules that were imported since."""
        self._packages.update(packages)
        modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in self._packages]
        for module in (*STANDARD_MODULES, *modules):
            for name, watched in _functions(module):
                self._watched.setdefault(f"{module.__name__}.{name}", watched)

    def require_unchanged(self) -> None:
        """Put replaced functions back. Raises WorkloadError, which names the first, if there are any."""
        replaced = [name for name, watched in self._watched.items() if watched.is_replaced()]
        for name in replaced:
            self._watched[name].restore()
        if replaced:
            raise WorkloadError(f"replaces {replaced[0]}")


def _functions(module: ModuleType) -> Iterator[tuple[str, _Watched]]:
    """The functions, classes and constants of a module, and the methods of its classes, by name."""
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, member in list(vars(value).items()):
                if isinstance(member, FunctionType):
                    yield f"{name}.{attribute}", _Watched.of(value, attribute, member)
        elif callable(value) or (name.isupper() and isinstance(value, CONSTANTS)):
            yield name, _Watched.of(module, name, value)
