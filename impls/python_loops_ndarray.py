"""The loops of ``python_loops`` on NumPy arrays instead of lists: every access creates a NumPy scalar object."""

from functools import partial
from typing import Any

from impls import python_loops
from impls._backend import Array
from impls._network import Parameters


class Model(python_loops.Model):
    """The loops of python_loops, indexing NumPy arrays element by element."""

    dtypes = ("float64", "float32")

    def _to_storage(self, array: Array) -> Any:
        return array.astype(self.dtype, order="C")

    def _store(self, parameters: Parameters) -> None:
        super()._store(parameters)
        self._forward_sample = partial(self._quietly, self._sample)

    def _sample(self, x: Array, out: Array) -> None:
        layers, (hidden, output, _) = self._layers, self._codes
        self._loops.forward(layers.weights, layers.biases, layers.activations, hidden, output, x, out)
