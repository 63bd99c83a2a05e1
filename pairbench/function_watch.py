"""Notices code under test that replaces functions which other arms, or the measurement itself, use."""

from __future__ import annotations

__all__ = ["FunctionWatch"]

import builtins
import gc
import itertools
import math
import operator
import pickle
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from pairbench.workload import WorkloadError

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
        # What is compared after every sample, in the shape that is read fastest: namespaces, functions that each read
        # several names of one, and all values; and groups of functions, with all objects that they refer to.
        self._namespaces: list[Any] = []
        self._readers: list[Callable[[Any], tuple[Any, ...]]] = []
        self._values: list[Any] = []
        self._functions: list[tuple[FunctionType, ...]] = []
        self._referents: list[list[Any]] = []
        # Kept here, so that replacing the built-in functions does not replace these.
        self._all, self._map, self._is, self._referents_of = all, map, operator.is_, gc.get_referents
        self._call, self._chain = operator.call, itertools.chain.from_iterable
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
            self._namespaces.append(vars(group[0].owner))
            self._readers.append(operator.itemgetter(*names))
            self._values += [*(watched.value for watched in group), group[-1].value]
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
            values = self._chain(self._map(self._call, self._readers, self._namespaces))
            if not self._all(self._map(same, values, self._values)):
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
