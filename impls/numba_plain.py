"""The loops of ``python_loops`` compiled with ``@njit``, without any change to their code.

The layers are tuples of arrays. The length of a tuple is part of its type, so Numba compiles the functions once for
each number of layers.
"""

from types import FunctionType, SimpleNamespace
from typing import Any

from numba import njit

from impls import python_loops, python_loops_ndarray
from impls._numba import enable_cache, require_compiler

require_compiler()

# The compiled functions share a namespace in which the functions that they call are compiled, too.
_compiled = dict(vars(python_loops))
for _name, _function in vars(python_loops).items():
    if isinstance(_function, FunctionType) and _function.__module__ == python_loops.__name__:
        _compiled[_name] = njit(FunctionType(_function.__code__, _compiled, _name))
for _name in ("forward", "forward_batch", "total_loss", "gradient", "train"):
    enable_cache(_compiled[_name])


class Model(python_loops_ndarray.Model):
    """The loops of python_loops compiled with Numba's @njit, otherwise unchanged."""

    compiles = True

    _loops = SimpleNamespace(**_compiled)

    def _per_layer(self, entries: list[Any]) -> Any:
        return tuple(entries)

    def _sample(self, x: Any, out: Any) -> None:
        super()._sample(self._to_storage(x), out)
