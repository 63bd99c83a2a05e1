"""The loops of ``python_loops`` compiled with ``@njit``, without any change to their code.

The layers are tuples of arrays. The length of a tuple is part of its type, so Numba compiles the functions once for
each number of layers.
"""

from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, typeof

from impls import python_loops, python_loops_ndarray
from impls._network import Parameters
from impls._numba import compile_cached, require_compiler

require_compiler()

# The compiled functions share a namespace in which the functions that they call are compiled, too.
_compiled = dict(vars(python_loops))
for _name, _function in vars(python_loops).items():
    if isinstance(_function, FunctionType) and _function.__module__ == python_loops.__name__:
        _compiled[_name] = njit(FunctionType(_function.__code__, _compiled, _name))


class Model(python_loops_ndarray.Model):
    """The loops of python_loops compiled with Numba's @njit, otherwise unchanged."""

    compiles = True

    _loops = SimpleNamespace(**_compiled)

    def _per_layer(self, entries: list[Any]) -> Any:
        return tuple(entries)

    def _store(self, parameters: Parameters) -> None:
        super()._store(parameters)
        layers, codes = self._layers, self._codes
        x, z = self._to_storage(np.zeros(self.network.n_in)), layers.outputs
        X, Y = self._to_storage(np.zeros((1, len(x)))), self._to_storage(np.zeros((1, len(z))))
        for function, arguments in (
            (self._loops.forward, (layers.weights, layers.biases, layers.activations, *codes[:2], x, z)),
            (self._loops.forward_batch, (layers, *codes[:2], X, Y)),
            (self._loops.total_loss, (layers, *codes, X, Y)),
            (self._loops.gradient, (layers, *codes, X, Y, 0, 1)),
            (self._loops.train, (layers, *codes, X, Y, 1, 0.0, 0.0, True, z)),
        ):
            compile_cached(function, tuple(typeof(argument) for argument in arguments))

    def _sample(self, x: Any, out: Any) -> None:
        super()._sample(self._to_storage(x), out)
