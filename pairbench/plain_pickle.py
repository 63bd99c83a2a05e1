"""Pickles for an exchange with code that is not trusted.

What is read may be arrays, plain values, and objects of the packages that the parent has named, but no function calls.
A worker process runs the code under test, which could write into the pipe to the parent. ``pickle.load`` would then run
any function in the parent.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Set
from types import FunctionType
from typing import IO, Any

BUILTINS = frozenset({"bytearray", "complex", "frozenset", "range", "set", "slice"})
NUMPY_FUNCTIONS = frozenset({"_frombuffer", "_reconstruct", "scalar"})
"""Functions of NumPy by which arrays and their elements are unpickled."""


def load(stream: IO[bytes], packages: Set[str]) -> Any:
    """Read a pickle whose classes belong to these packages, to NumPy or to ``BUILTINS``.

    Raises pickle.UnpicklingError for any other name.
    """
    return _PlainUnpickler(stream, packages).load()


def dumps(message: object) -> tuple[bytes, Set[str]]:
    """The pickle of a message, and the packages of the classes and functions in it."""
    stream = io.BytesIO()
    pickler = _NotingPickler(stream)
    pickler.dump(message)
    return stream.getvalue(), pickler.packages


def _package(module: str) -> str:
    return module.partition(".")[0]


class _NotingPickler(pickle.Pickler):
    def __init__(self, stream: IO[bytes]):
        super().__init__(stream)
        self.packages: set[str] = set()

    def reducer_override(self, value: Any) -> Any:
        named = value if isinstance(value, type | FunctionType) else type(value)
        if named.__module__ != "builtins":  # of which only some are accepted
            self.packages.add(_package(named.__module__))
        return NotImplemented


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: IO[bytes], packages: Set[str]):
        super().__init__(stream)
        self._packages = packages

    def find_class(self, module: str, name: str) -> Any:
        package = _package(module)
        if module == "builtins" and name in BUILTINS:
            return super().find_class(module, name)
        if package == "numpy" or package in self._packages:
            found = super().find_class(module, name)
            if package == "numpy" and name in NUMPY_FUNCTIONS:
                return found
            if isinstance(found, type) and _package(found.__module__) == package:
                return found
        raise pickle.UnpicklingError(f"it names {module}.{name}")
