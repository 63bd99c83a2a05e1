"""Data parallelism with Dask: the samples are divided into partitions, and their gradients are added in a tree.

The loss of a batch and its gradient are sums over the samples. Each task computes the sums of one partition with the
kernels of ``numba_simd``, and Dask adds the sums of all partitions. X and Y may be Dask arrays that do not fit the
memory; their blocks of rows are the partitions. Batches that fit one partition, and single samples, go to the kernels
directly, without Dask.

Design decisions:

- The partitions depend on the arrays only, never on the workers: the blocks of a Dask array, or PARTITION_BYTES of a
  NumPy array. Each node of the tree adds up to FAN_IN neighbouring sums, in their order, in float64. A result is
  therefore the same on any number of workers, as long as these compile the kernels for the same processor.
- With a ``distributed.Client``, the tasks run on its workers. Without one, they run one after another in the calling
  thread: a thread pool would take more threads than a timed process may use.
- A task that makes a block and the task that computes with it become one task, so that no block waits in memory. Where
  Dask cannot join them, its queue on the scheduler holds the blocks back until a worker is free.
- The parameters are sent to each worker once per update. Each thread of a worker keeps one model.
- NumPy arrays are sent to the workers once per call. Arrays from a file or a computation are made on the workers.
- The values of a Dask array are checked in the tasks, before the first update.

MLPBENCH_PARTITION_ROWS sets the number of rows in a partition of NumPy arrays, for example to verify the backend on
small batches.
"""

import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate, pairwise
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph
from dask.local import get_sync
from numpy.typing import ArrayLike

from impls import _check, numba_simd
from impls._backend import Array, Descent, Gradient
from impls._network import Network, Parameters
from impls._registry import BackendUnavailable

PARTITION_BYTES = 2**24
"""Bytes of X and Y in a partition of NumPy arrays: its gradient takes about ten times as long as Dask's task."""
FAN_IN = 8
"""Sums that one node of the tree adds."""
ROWS_VARIABLE = "MLPBENCH_PARTITION_ROWS"


def _rows_setting(text: str) -> int | None:
    """The rows of a partition, as ROWS_VARIABLE sets them; None if it is not set. Raises BackendUnavailable."""
    if text and not (text.isdecimal() and int(text) > 0):
        raise BackendUnavailable(f"{ROWS_VARIABLE} must be a whole number of 1 or more, got {_check.abbreviated(text)}")
    return int(text) if text else None


PARTITION_ROWS = _rows_setting(os.environ.get(ROWS_VARIABLE, ""))


class _KernelModels(threading.local):
    """The model of this thread, which is kept from one update to the next.

    A list of parameters is never changed, so the same list has the same values.
    """

    model: numba_simd.Model | None = None
    parameters: Parameters | None = None

    def model_of(self, network: Network, dtype: np.dtype[Any], parameters: Parameters) -> numba_simd.Model:
        """The model with these parameters, which need not be finite, because a training may diverge."""
        model = self.model
        if model is None or (model.network, model.dtype) != (network, dtype):
            model = numba_simd.Model(
                network, [(np.zeros(shape), np.zeros(shape[1])) for shape in network.shapes], dtype
            )
            self.model, self.parameters = model, None
        if self.parameters is not parameters:
            for (W, b), (new_W, new_b) in zip(model._fetch(), parameters, strict=True):
                W[:], b[:] = new_W, new_b
            self.parameters = parameters
        return model


_kernel_models = _KernelModels()


@contextmanager
def _rows_named(block_info: Any) -> Iterator[None]:
    """Let an error about the values of a block name the block's rows."""
    try:
        yield
    except (TypeError, ValueError) as error:
        start, stop = block_info[0]["array-location"][0]
        raise type(error)(f"in rows {start} to {stop - 1}: {error}") from error


def _partition_outputs(X: Array, parameters: Parameters, network: Network, model_dtype: np.dtype[Any]) -> Array:
    return _kernel_models.model_of(network, model_dtype, parameters).forward(X)


def _partition_loss(
    X: Array, Y: Array, parameters: Parameters, network: Network, model_dtype: np.dtype[Any], block_info: Any = None
) -> Array:
    """The summed loss of a partition, (1, 1)."""
    with _rows_named(block_info):
        return np.array([[_kernel_models.model_of(network, model_dtype, parameters).loss(X, Y, "sum")]])


def _partition_gradient(
    X: Array, Y: Array, parameters: Parameters, network: Network, model_dtype: np.dtype[Any], block_info: Any = None
) -> Array:
    """The summed loss of a partition and its gradient in one row, (1, 1 + parameters), in float64."""
    with _rows_named(block_info):
        loss, gradient = _kernel_models.model_of(network, model_dtype, parameters).gradient(X, Y, "sum")
    parts = [np.ravel(part) for pair in gradient for part in pair]
    return np.concatenate([[loss], *parts], dtype=np.float64)[None]


def _added(rows: Array, axis: Any, keepdims: bool) -> Array:
    """One node of the tree: the sum of neighbouring rows, in their order."""
    with np.errstate(all="ignore"):  # a training that diverges
        total: Array = rows.sum(axis=axis, keepdims=keepdims)
        return total


def _client() -> Any:
    """The current client of a cluster, or None. Without ``distributed`` being imported, there is none."""
    if "distributed" not in sys.modules:
        return None
    from distributed import Client

    try:
        return Client.current()
    except ValueError:
        return None


def _computed(array: Any) -> Array:
    """Compute a Dask array on the cluster, or in this thread if there is none."""
    return np.asarray(*dask.compute(array, scheduler=_client() or get_sync))


def _dask_matrix(name: str, value: Any, width: int, dtype: np.dtype[Any]) -> Any:
    """The value as a Dask array (batch, width), each block with all columns. Raises TypeError or ValueError."""
    if not isinstance(value, da.Array):
        value = da.from_array(_check.converted(name, value, dtype), chunks=-1, name=False)
    if value.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {value.dtype}")
    if value.ndim != 2 or value.shape[1] != width:
        raise ValueError(f"{name} must have shape (batch, {width}), got {value.shape}")
    if any(np.isnan(size) for size in value.shape):
        raise ValueError(f"{name} must have a known number of rows; call its method compute_chunk_sizes first")
    if not len(value):
        raise ValueError(f"{name} must hold at least one sample, got an empty batch")
    rows = tuple(size for size in value.chunks[0] if size)
    return value.rechunk((rows, (width,)))


def _partitioned(array: Array, rows: int) -> Any:
    """Divide an array into partitions of up to ``rows`` rows. With a cluster, its workers get them now."""
    starts = [*range(0, len(array), rows), len(array)]
    sizes = [stop - start for start, stop in pairwise(starts)]
    client = _client()
    if client is None:
        # Without ``name=False``, Dask would read all values to compute a name from them.
        return da.from_array(array, chunks=(tuple(sizes), array.shape[1]), name=False)
    blocks = [array[start:stop] for start, stop in pairwise(starts)]
    futures = client.scatter(blocks, hash=False)
    name = f"partitions-{futures[0].key}"
    layer = {(name, place, 0): future for place, future in enumerate(futures)}
    graph = HighLevelGraph.from_collections(name, layer)
    return da.Array(graph, name, (tuple(sizes), (array.shape[1],)), array.dtype)


class Model(numba_simd.Model):
    """Data parallelism with Dask: partitions of the samples on the kernels of numba_simd, sums in a tree."""

    def _inputs(self, x: ArrayLike) -> Any:
        """Check the argument of ``forward``; a Dask array stays one."""
        return _dask_matrix("x", x, self.network.n_in, self.dtype) if isinstance(x, da.Array) else super()._inputs(x)

    def _samples(self, X: ArrayLike, Y: ArrayLike) -> tuple[Any, Any]:
        """Check X and Y; Dask arrays stay Dask arrays with the same blocks of rows, whose values the tasks check."""
        if not isinstance(X, da.Array) and not isinstance(Y, da.Array):
            return super()._samples(X, Y)
        inputs = _dask_matrix("X", X, self.network.n_in, self.dtype)
        targets = _dask_matrix("Y", Y, self.network.n_out, self.dtype)
        if len(inputs) != len(targets):
            raise ValueError(f"X and Y must have the same length, got {len(inputs)} and {len(targets)}")
        rows = (inputs if isinstance(X, da.Array) else targets).chunks[0]
        return inputs.rechunk({0: rows}), targets.rechunk({0: rows})

    def _partition_rows(self) -> int:
        """The rows of a partition of NumPy arrays."""
        row = (self.network.n_in + self.network.n_out) * self.dtype.itemsize
        return PARTITION_ROWS or max(1, PARTITION_BYTES // row)

    def _is_local(self, X: Any, rows: int) -> bool:
        """Whether batches of so many rows go to the kernels directly."""
        return not isinstance(X, da.Array) and rows <= self._partition_rows()

    def _dask_arrays(self, X: Any, Y: Any) -> tuple[Any, Any]:
        if isinstance(X, da.Array):
            return X, Y
        rows = self._partition_rows()
        return _partitioned(X, rows), _partitioned(Y, rows)

    def _shared(self) -> Any:
        """Send a copy of the parameters to every worker; without a cluster, the copy itself."""
        parameters = [(W.copy(), b.copy()) for W, b in self._fetch()]
        client = _client()
        return client.scatter([parameters], broadcast=True, hash=False)[0] if client else parameters

    def _mapped(self, function: Callable[..., Array], arrays: Sequence[Any], chunks: Any, dtype: Any) -> Any:
        """The Dask array, with these chunks, of the function of each partition."""
        return da.map_blocks(
            function,
            *arrays,
            chunks=chunks,
            dtype=dtype,
            meta=np.empty((0, 0), dtype),
            parameters=self._shared(),
            network=self.network,
            model_dtype=self.dtype,
        )

    def _total(self, function: Callable[..., Array], X: Any, Y: Any, width: int) -> Array:
        """The sum over all partitions of a function whose value is a row, (1, width); added in the tree."""
        rows = self._mapped(function, (X, Y), ((1,) * X.numblocks[0], (width,)), np.float64)
        tree = da.reduction(rows, _added, _added, axis=0, dtype=np.float64, split_every=FAN_IN, concatenate=True)
        return _computed(tree)

    def _total_gradient(self, X: Any, Y: Any) -> tuple[float, Gradient]:
        total = self._total(_partition_gradient, X, Y, 1 + len(self._gradients))
        parts, places = total[1:].astype(self.dtype), iter(accumulate((n + 1) * m for n, m in self.network.shapes))
        gradient = []
        for (n, m), end in zip(self.network.shapes, places, strict=True):
            gradient.append((parts[end - (n + 1) * m : end - m].reshape(n, m), parts[end - m : end]))
        return float(total[0]), gradient

    def _forward_batch(self, X: Any) -> Array:
        if not isinstance(X, da.Array):
            return super()._forward_batch(X)
        return _computed(self._mapped(_partition_outputs, (X,), (X.chunks[0], (self.network.n_out,)), self.dtype))

    def _loss(self, X: Any, Y: Any) -> float:
        if self._is_local(X, len(X)):
            return super()._loss(X, Y)
        return float(self._total(_partition_loss, *self._dask_arrays(X, Y), 1)[0])

    def _gradient(self, X: Any, Y: Any) -> tuple[float, Gradient]:
        if self._is_local(X, len(X)):
            return super()._gradient(X, Y)
        return self._total_gradient(*self._dask_arrays(X, Y))

    def _train(self, X: Any, Y: Any, descent: Descent) -> Any:
        if self._is_local(X, descent.size):
            return super()._train(X, Y, descent)
        X, Y = self._dask_arrays(X, Y)
        batches = [slice(start, start + descent.size) for start in range(0, len(X), descent.size)]
        return [sum(self._update(X[rows], Y[rows], descent) for rows in batches) for _ in range(descent.epochs)]

    def _train_in_calls(self, X: Any, Y: Any, descent: Descent) -> Any:
        """An epoch of several partitions can be interrupted, so all epochs are one call, and the data is sent once."""
        return super()._train_in_calls(X, Y, descent) if self._is_local(X, descent.size) else self._train(X, Y, descent)

    def _update(self, X: Any, Y: Any, descent: Descent) -> float:
        """Update the parameters by the gradient of a batch, and return the batch's summed loss before the update."""
        loss, gradient = self._total_gradient(X, Y)
        scale = 1 / len(X) if descent.mean else 1.0
        rates = descent.learning_rate, descent.bias_learning_rate
        step, bias_step = (self.dtype.type(rate * scale) for rate in rates)
        for (W, b), (dW, db) in zip(self._fetch(), gradient, strict=True):
            W -= step * dW
            b -= bias_step * db
        return loss
