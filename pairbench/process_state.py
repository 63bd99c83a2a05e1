"""The state of a worker process that all arms share: functions that none may replace, and settings to be restored.

Imports are exempt from the settings, because many libraries change settings when they are imported.
"""

from __future__ import annotations

import builtins
import gc
import itertools
import operator
import os
import random
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

STANDARD_MODULES: tuple[ModuleType, ...] = (builtins, gc, itertools, operator, time)
"""Modules that the harness uses for timing."""


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


def shared_functions(packages: Sequence[str]) -> dict[str, Any]:
    """The identity of each function of the loaded modules of these packages and of ``STANDARD_MODULES``, by name."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in packages]
    found: dict[str, Any] = {}
    for module in (*STANDARD_MODULES, *modules):
        for name, value in _members(module):
            found[f"{module.__name__}.{name}"] = value
    return found


def replaced(before: dict[str, Any], packages: Sequence[str]) -> str:
    """The first function that was replaced since ``before``; empty if there is none."""
    now = shared_functions(packages)
    return next((name for name, value in before.items() if now.get(name) != value), "")


def _members(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, member in list(vars(value).items()):
                if isinstance(member, FunctionType):
                    yield f"{name}.{attribute}", _identity(member)
        elif callable(value):
            yield name, _identity(value)


def _identity(value: Any) -> tuple[Any, ...]:
    """Equal only for the same object with the same code. The objects are kept, so that no other can have their ids."""
    if isinstance(value, FunctionType):
        return _Same(value), value.__code__, _Same(value.__defaults__)
    return (_Same(value),)


class _Same:
    """Compares an object by identity."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.value is self.value

    __hash__ = None  # type: ignore[assignment]
