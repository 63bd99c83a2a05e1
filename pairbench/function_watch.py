"""The state of a worker process that all arms share: functions that none may replace, and settings to be restored.

Imports are exempt from the settings, because many libraries change settings when they are imported.
"""

from __future__ import annotations

__all__ = ["FunctionWatch"]

import _thread
import builtins
import faulthandler
import gc
import itertools
import math
import operator
import os
import pickle
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from pairbench.workload import WorkloadError

try:
    import resource
except ModuleNotFoundError:  # Windows
    resource = None  # type: ignore[assignment]

NUMPY_METHODS = ("_methods", "fromnumeric", "numeric", "multiarray", "umath")
"""Modules whose functions the methods of arrays, and NumPy's own functions, call."""
STANDARD_MODULES: tuple[ModuleType, ...] = (
    *(builtins, gc, itertools, math, operator, pickle, random, time),
    *(np, np.linalg, np.random),
    *(sys.modules[f"numpy._core.{name}"] for name in NUMPY_METHODS if f"numpy._core.{name}" in sys.modules),
)
"""Modules that the harness uses for drawing, timing and sending, and NumPy's that backends call."""
OBJECT_SEARCHES = frozenset({"gc.get_objects", "gc.get_referrers", "gc.get_referents"})
"""Audit events of functions that find objects of others, such as the plan of a sample."""
OWN_SEARCH = "gc.get_referents"
"""The one of these that the watch itself uses, for its own functions."""
ADDED_HOOK = "sys.addaudithook"
"""Audit event of adding a hook."""
CHANGED_PARTS = frozenset({"object.__setattr__", "object.__delattr__"})
"""Audit events of setting and deleting attributes such as those in ``PARTS``."""
CONSTANTS = (int, float, str, tuple, frozenset)
PARTS = ("__code__", "__defaults__", "__kwdefaults__")
"""Attributes of a function that change what it does."""
_PARTS_OF = operator.attrgetter(*PARTS)


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


class _Watched(NamedTuple):
    """A function or constant in the namespace of a module or class, and what a function consists of."""

    owner: Any
    attribute: str
    value: Any
    parts: tuple[Any, ...]

    @classmethod
    def of(cls, owner: Any, attribute: str, value: Any) -> _Watched:
        parts = _PARTS_OF(value) if isinstance(value, FunctionType) else ()
        return cls(owner, attribute, value, parts)

    def is_replaced(self) -> bool:
        if vars(self.owner).get(self.attribute) is not self.value:
            return True
        return bool(self.parts) and not all(map(operator.is_, _PARTS_OF(self.value), self.parts))

    def restore(self) -> None:
        setattr(self.owner, self.attribute, self.value)
        for part, value in zip(PARTS if self.parts else (), self.parts, strict=True):
            setattr(self.value, part, value)


class FunctionWatch:
    """Notices replaced functions and constants of some packages and of ``STANDARD_MODULES``, and puts them back."""

    def __init__(self, *packages: str):
        self._packages: set[str] = set()
        self._watched: dict[str, _Watched] = {}
        # What is compared after every sample, in the shape that is read fastest: namespaces, with a function that reads
        # several of their names, and the values; and functions, with all objects that they refer to, each in groups.
        self._namespaces: list[tuple[Any, Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._functions: list[tuple[FunctionType, ...]] = []
        self._referents: list[list[Any]] = []
        # Kept here, so that replacing the built-in functions does not replace these.
        self._all, self._map, self._is, self._referents_of = all, map, operator.is_, gc.get_referents
        self._is_audited, self._may_have_new_parts = False, False
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
        new: dict[str, _Watched] = {}
        for module in modules:
            for attribute, watched in _functions(module):
                name = f"{module.__name__}.{attribute}"
                if name not in self._watched:
                    self._watched[name] = new[name] = watched
        for _, members in groupby(new.values(), lambda watched: id(watched.owner)):
            group = list(members)
            # The last name stands twice, because for a single name the values would be no tuple.
            names = [*(watched.attribute for watched in group), group[-1].attribute]
            values = (*(watched.value for watched in group), group[-1].value)
            self._namespaces.append((vars(group[0].owner), operator.itemgetter(*names), values))
        functions = {id(watched.value): watched.value for watched in new.values() if watched.parts}
        self._functions.append(tuple(functions.values()))
        self._referents.append(self._referents_of(*self._functions[-1]))

    def add_audit_hook(self) -> None:
        """Refuse calls that search the memory for objects, and further hooks, until this process ends.

        Such a call raises WorkloadError. The hook also tells when the parts of a function are set.
        """
        sys.addaudithook(self._audit)
        self._is_audited = True

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGED_PARTS:
            self._may_have_new_parts = True
        if event == ADDED_HOOK:
            raise RuntimeError  # which Python does not pass on
        if event in OBJECT_SEARCHES and not self._is_own_search(event, arguments):
            raise WorkloadError(f"calls {event}, which finds objects of the measurement")

    def _is_own_search(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event != OWN_SEARCH:
            return False
        (searched,) = arguments
        return any(
            len(searched) == len(functions) and self._all(self._map(self._is, searched, functions))
            for functions in self._functions
        )

    def require_unchanged(self) -> None:
        """Put back what was replaced. Raises WorkloadError, which names the first, if something was."""
        if self._is_unchanged():
            return
        replaced = [name for name, watched in self._watched.items() if watched.is_replaced()]
        for name in replaced:
            self._watched[name].restore()
        self._referents = [self._referents_of(*functions) for functions in self._functions]
        self._may_have_new_parts = False
        if replaced:
            raise WorkloadError(f"replaces {replaced[0]}")

    def _is_unchanged(self) -> bool:
        same = self._is
        try:
            for namespace, read, values in self._namespaces:
                if not self._all(self._map(same, read(namespace), values)):
                    return False
        except KeyError:  # a name was deleted
            return False
        if self._is_audited and not self._may_have_new_parts:
            return True
        # Reading the parts of each function would take ten times as long: each reading calls the audit hook.
        for functions, known in zip(self._functions, self._referents, strict=True):
            referents = self._referents_of(*functions)
            if len(referents) != len(known) or not self._all(self._map(same, referents, known)):
                return False
        self._may_have_new_parts = False
        return True


def _functions(module: ModuleType) -> Iterator[tuple[str, _Watched]]:
    """The functions, classes and constants of a module, and the methods of its classes, by name."""
    for name, value in list(vars(module).items()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, member in list(vars(value).items()):
                if isinstance(member, FunctionType):
                    yield f"{name}.{attribute}", _Watched.of(value, attribute, member)
        elif callable(value) or (name.isupper() and isinstance(value, CONSTANTS)):
            yield name, _Watched.of(module, name, value)
