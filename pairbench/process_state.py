"""The state of a worker process that all arms share: functions that none may replace, and settings to be restored.

Imports are exempt from the settings, because many libraries change settings when they are imported.
"""

from __future__ import annotations

import _thread
import builtins
import gc
import itertools
import operator
import os
import pickle
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from pairbench.workload import WorkloadError

STANDARD_MODULES: tuple[ModuleType, ...] = (
    *(builtins, gc, itertools, operator, pickle, random, time),
    *(np, np.random),
)
"""Modules that the harness uses for drawing, timing and sending."""
OBJECT_SEARCHES = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents"})
"""Audit events of functions that find objects of others, such as the plan of a sample."""
CONSTANTS = (int, float, str, tuple, frozenset)


@dataclass(frozen=True)
class ProcessSetting:
    """A setting of the process, with functions that read and restore it."""

    name: str
    read: Callable[[], Any]
    restore: Callable[[Any], object]


def refuse_object_searches(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook for worker processes. Raises WorkloadError in a call that searches the memory for objects."""
    if event in OBJECT_SEARCHES:
        raise WorkloadError(f"calls {event}, which finds objects of the measurement")


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


def _signal_handlers() -> dict[signal.Signals, Any]:
    return {number: signal.getsignal(number) for number in signal.Signals}


def _set_signal_handlers(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
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
        self._threads = _thread._count()  # ``threading`` counts only its own

    def restore(self) -> list[str]:
        """Restore the settings, and return a description of each change."""
        changes = []
        for setting, value in zip(SETTINGS, self._values, strict=True):
            if setting.read() != value:
                changes.append(f"changes {setting.name}")
                setting.restore(value)
        if (threads := _thread._count()) > self._threads:
            changes.append("leaves threads running")
            self._threads = threads
        return changes


class _Watched(NamedTuple):
    """A function or constant in the namespace of a module or class, and a function's code and defaults."""

    namespace: Mapping[str, Any]
    attribute: str
    value: Any
    code: Any
    defaults: Any
    owner: Any

    @classmethod
    def of(cls, owner: Any, attribute: str, value: Any) -> _Watched:
        is_function = isinstance(value, FunctionType)
        code, defaults = (value.__code__, value.__defaults__) if is_function else (None, None)
        return cls(vars(owner), attribute, value, code, defaults, owner)

    def restore(self) -> None:
        setattr(self.owner, self.attribute, self.value)
        if self.code is not None:
            self.value.__code__, self.value.__defaults__ = self.code, self.defaults


class FunctionWatch:
    """Notices replaced functions and constants of some packages and of ``STANDARD_MODULES``, and puts them back."""

    def __init__(self, *packages: str):
        self._packages: set[str] = set()
        self._watched: dict[str, _Watched] = {}
        self._modules: set[str] = set()
        self._extend(STANDARD_MODULES)
        self.extend(*packages)

    def extend(self, *packages: str) -> None:
        """Watch more packages, and the modules that were imported since."""
        self._packages.update(packages)
        names = [name for name in sys.modules if name not in self._modules and name.partition(".")[0] in self._packages]
        self._modules.update(names)
        self._extend(map(sys.modules.__getitem__, names))

    def _extend(self, modules: Iterable[ModuleType]) -> None:
        for module in modules:
            for name, watched in _functions(module):
                self._watched.setdefault(f"{module.__name__}.{name}", watched)

    def require_unchanged(self) -> None:
        """Put back what was replaced. Raises WorkloadError, which names the first, if something was."""
        replaced = [
            name
            for name, (namespace, attribute, value, code, defaults, _) in self._watched.items()
            if namespace.get(attribute) is not value or (code is not None and _is_changed(value, code, defaults))
        ]
        for name in replaced:
            self._watched[name].restore()
        if replaced:
            raise WorkloadError(f"replaces {replaced[0]}")


def _is_changed(function: Any, code: Any, defaults: Any) -> bool:
    return function.__code__ is not code or function.__defaults__ is not defaults


def _functions(module: ModuleType) -> Iterator[tuple[str, _Watched]]:
    """The functions, classes and constants of a module, and the methods of its classes, by name."""
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, member in list(vars(value).items()):
                if isinstance(member, FunctionType):
                    yield f"{name}.{attribute}", _Watched.of(value, attribute, member)
        elif callable(value) or (name.isupper() and isinstance(value, CONSTANTS)):
            yield name, _Watched.of(module, name, value)
