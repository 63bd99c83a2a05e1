"""The contract of a backend, and the class that every backend derives from.

A backend is a module in ``impls/`` or ``impls/peers/``, or a third-party module named by an entry point of the group
``mlpbench.backends``. The module defines one class, ``Model``, derived from ``impls.Model``. An instance is one network
with its parameters.

The base class checks the caller's arguments, allocates the output of one sample, and divides sums to get means. The
backend computes in six methods: ``_store``, ``_fetch``, ``_forward_batch``, ``_loss``, ``_gradient`` and ``_train``.
``_store`` also sets the attribute ``_forward_sample``, the function for one sample. The docstrings of the methods state
their arguments and results.

``self.network`` is the network to compute, and ``self.dtype`` the dtype to compute in. The docstring of
``impls.Network`` has the formulas. The methods run with NumPy's floating-point warnings off. Their arguments are
C-contiguous arrays of the model's dtype, and a method must not write to its arguments. A returned array must not share
memory with an array that the model keeps, except in ``_fetch``, whose results the base class copies.

A backend may set three class attributes:

- ``dtypes``: names of the supported dtypes; the default is ("float64",).
- ``compiles``: True if building the first model, or the first call of an operation, compiles code.
- ``compiles_shapes``: True if every new network or batch size compiles code again.

A backend that does not support an operation on a network names the operation in the class method ``lacks``. Operations
are the forward pass, the loss, the gradient and the training; a backend without the forward pass of a network, because
it lacks an activation for example, builds no model of it. The base class never calls the methods of an operation that
is named, so a backend that names one for every network need not define its method. The first line of the class's
docstring describes the backend.

A model keeps workspaces, so only one thread may use a model at a time. A call that comes while another thread's call
is under way raises RuntimeError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from impls import _check
from impls._guard import guarded_calls, quietly
from impls._network import Network, Parameters

Array = NDArray[Any]
LayerArrays = list[tuple[Array, Array]]
"""For each layer, an array in the shape of the weights and an array in the shape of the biases."""
Gradient = LayerArrays

WORK_PER_CALL = 2**26
"""Work in one call of ``_train``, unless it is one epoch; a weight at a sample is 1.

Compiled code cannot be interrupted. Compiled loops take 0.2 s for this, with NODE and UPDATE as below.
"""
NODE, UPDATE = 16, 256
"""Work of an activation, and of an update in addition to its samples."""


class Descent(NamedTuple):
    """The settings of a gradient descent.

    Every epoch goes through the rows of X in order, in batches of ``size`` rows; the last batch may be shorter. Each
    batch is followed by one update: the model subtracts rate × gradient of the batch's summed loss from the parameters.
    If ``mean`` is true, the gradient is first divided by the number of rows in the batch.
    """

    size: int
    epochs: int
    learning_rate: float
    bias_learning_rate: float
    mean: bool


METHODS = {"loss": "_loss", "gradient": "_gradient", "train": "_train"}
"""The method of each operation that a backend may leave out."""


class UnsupportedOperation(NotImplementedError):
    """The backend does not support the operation for the network; the message gives the reason in one line."""


class Model(ABC):
    """One network with its parameters; the base class of every backend's model."""

    dtypes: ClassVar[tuple[str, ...]] = ("float64",)
    compiles: ClassVar[bool] = False
    compiles_shapes: ClassVar[bool] = False

    @classmethod
    def lacks(cls, network: Network) -> Mapping[str, str]:
        """Map each operation that the backend does not support for the network to the reason, in one line.

        The keys are among "forward", "loss", "gradient" and "train". Without "forward", no operation is supported.
        """
        return {}

    @classmethod
    def unsupported(cls, network: Network) -> Mapping[str, str]:
        """Map each unsupported operation to the reason; the operations that follow from ``lacks`` are included."""
        reasons = _check.reasons(cls.lacks(network), ("forward", *METHODS))
        if "forward" in reasons:
            return dict.fromkeys(("forward", *METHODS), reasons["forward"]) | reasons
        return reasons

    def __init__(self, network: Network, parameters: Sequence[tuple[ArrayLike, ArrayLike]], dtype: np.dtype[Any]):
        self.network = network
        self.dtype = dtype
        self._unsupported = self.unsupported(network)
        if "forward" in self._unsupported:
            self._refuse("forward")
        for operation, method in METHODS.items():
            if operation not in self._unsupported and getattr(type(self), method) is getattr(Model, method):
                raise TypeError(f"{self._name()} neither defines {method} nor names {operation!r} in lacks")
        self._row_work = sum((n_in + 1) * n_out + NODE * n_out for n_in, n_out in network.shapes)
        self._forward_sample: Callable[[Array, Array], object]
        self._quietly = quietly()
        self._quietly(self._store, self._quietly(network.check_parameters, parameters, dtype))
        self.forward, self._begin, self._end = guarded_calls(
            self._forward_sample, self._forward_batch, self._inputs, network, dtype, self._quietly
        )

    forward: Callable[[ArrayLike], Array]
    """Compute the outputs of one sample, (n_in,) -> (n_out,), or of a batch, (batch, n_in) -> (batch, n_out).

    The outputs are a new array of the model's dtype. NaN and infinity in an input propagate to the outputs that depend
    on the input. Raises TypeError for a dtype that is not real, ValueError for a shape that does not fit the network.
    """

    def loss(self, X: ArrayLike, Y: ArrayLike, reduction: str = "mean") -> float:
        """Compute the loss of X (batch, n_in) against the targets Y (batch, n_out).

        ``reduction`` "mean" or "sum" returns the mean or the sum of the samples' losses. Raises UnsupportedOperation if
        the backend does not support the loss of the network, TypeError or ValueError for invalid arguments.
        """
        if "loss" in self._unsupported:
            self._refuse("loss")
        self._begin()
        try:
            X, Y = self._samples(X, Y)
            mean = _check.reduction(reduction)
            total = float(self._quietly(self._loss, X, Y))
            return total / len(X) if mean else total
        finally:
            self._end()

    def gradient(self, X: ArrayLike, Y: ArrayLike, reduction: str = "mean") -> tuple[float, Gradient]:
        """Compute the loss and its gradient [(dW, db), …], in the shapes of the parameters and the model's dtype.

        Arguments and errors are those of ``loss``.
        """
        if "gradient" in self._unsupported:
            self._refuse("gradient")
        self._begin()
        try:
            X, Y = self._samples(X, Y)
            mean = _check.reduction(reduction)
            total, sums = self._quietly(self._gradient, X, Y)
            gradient = [(np.asarray(dW, self.dtype), np.asarray(db, self.dtype)) for dW, db in sums]
            if mean:
                count = np.array(len(X), self.dtype)  # dividing a small array by an int takes five times as long
                for dW, db in gradient:
                    np.divide(dW, count, out=dW)
                    np.divide(db, count, out=db)
            return float(total) / len(X) if mean else float(total), gradient
        finally:
            self._end()

    def train(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        epochs: int,
        learning_rate: float,
        bias_learning_rate: float | None = None,
        batches: int | ArrayLike | None = None,
        reduction: str = "mean",
    ) -> NDArray[np.float64]:
        """Train by gradient descent from the current parameters; return the loss of each epoch, (epochs,).

        ``batches`` selects the rows of each update:

        - None: one batch of all rows.
        - An integer: consecutive batches of that size; the last batch may be shorter.
        - An integer array (steps, size): the row indices of each batch, the same in every epoch.

        Each update follows the gradient of the mean or the sum, according to ``reduction``, of its batch's losses.
        ``bias_learning_rate`` None means ``learning_rate``. The loss of an epoch is the mean or the sum of the losses
        of all samples in its batches, each computed before the update of its batch. If the training diverges, the
        losses are infinite or NaN. An interruption ends a training after an epoch at the latest. Raises
        UnsupportedOperation if the backend does not support the training of the network, TypeError or ValueError for
        invalid arguments.
        """
        if "train" in self._unsupported:
            self._refuse("train")
        self._begin()
        try:
            X, Y = self._samples(X, Y)
            mean = _check.reduction(reduction)
            epochs = _check.epochs(epochs)
            learning_rate = _check.rate("learning_rate", learning_rate)
            if bias_learning_rate is None:
                bias_learning_rate = learning_rate
            else:
                bias_learning_rate = _check.rate("bias_learning_rate", bias_learning_rate)
            rows, size = _check.batches(batches, len(X))
            if rows is not None:
                X, Y = X[rows], Y[rows]
            descent = Descent(size, epochs, learning_rate, bias_learning_rate, mean)
            train = self._train if epochs == 1 else self._train_in_calls
            losses = np.asarray(self._quietly(train, X, Y, descent), np.float64)
            if losses.shape != (epochs,):
                raise RuntimeError(f"training for {epochs} epochs returned losses of shape {losses.shape}")
            if mean:
                losses /= float(len(X))
            return losses
        finally:
            self._end()

    def parameters(self) -> Parameters:
        """Copy the current parameters as float64 arrays [(W, b), …], W (n_in, n_out) and b (n_out,)."""
        self._begin()
        try:
            return [(np.array(W, np.float64, order="C"), np.array(b, np.float64)) for W, b in self._fetch()]
        finally:
            self._end()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a model can be neither copied nor pickled; build another from its parameters()")

    def _refuse(self, operation: str) -> NoReturn:
        reason = self._unsupported[operation]
        raise UnsupportedOperation(f"{self._name()} does not support {operation} for this network: {reason}")

    def _name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def _inputs(self, x: ArrayLike) -> Array:
        return _check.inputs(x, self.network.n_in, self.dtype)

    def _samples(self, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
        network = self.network
        checked: tuple[Array, Array] = self._quietly(
            _check.samples, X, Y, network.n_in, network.n_out, network.loss, self.dtype
        )
        return checked

    def _train_in_calls(self, X: Array, Y: Array, descent: Descent) -> Sequence[float] | Array:
        """Train by ``_train``, in several calls if that takes long, so that an interruption takes effect in between."""
        work = self._row_work * len(X) + UPDATE * -(-len(X) // descent.size)
        most = WORK_PER_CALL // work or 1
        if descent.epochs <= most:
            return self._train(X, Y, descent)
        parts = (min(most, descent.epochs - start) for start in range(0, descent.epochs, most))
        return np.concatenate([self._train(X, Y, descent._replace(epochs=epochs)) for epochs in parts])

    @abstractmethod
    def _store(self, parameters: Parameters) -> None:
        """Store the parameters in the backend's layout, allocate workspaces, compile, and set ``self._forward_sample``.

        ``parameters`` are copies [(W, b), …] that the model may keep: float64 arrays W (n_in, n_out) and b (n_out,)
        with values rounded to the model's dtype. Raises ValueError for a network that the backend cannot hold.

        ``self._forward_sample(x, out)`` writes the outputs of one sample, x (n_in,) with any strides, into out
        (n_out,), both of the model's dtype. ``forward`` calls the attribute directly, because this call is timed, so
        NumPy's floating-point warnings are on. If the function can cause a warning, set the attribute to
        ``partial(self._quietly, function)``.
        """

    @abstractmethod
    def _fetch(self) -> Sequence[tuple[ArrayLike, ArrayLike]]:
        """Return the current parameters [(W, b), …], W (n_in, n_out) and b (n_out,), of any float dtype."""

    @abstractmethod
    def _forward_batch(self, X: Array) -> Array:
        """Compute the outputs (batch, n_out) of X (batch, n_in) as a new array of the model's dtype.

        NaN and infinity in a sample propagate to the sample's own outputs, and not to those of other samples.
        """

    def _loss(self, X: Array, Y: Array) -> float:
        """Compute the sum of the losses of the samples X (batch, n_in) against the targets Y (batch, n_out)."""
        raise NotImplementedError

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Sequence[tuple[ArrayLike, ArrayLike]]]:
        """Compute the summed loss of X (batch, n_in) against the targets Y (batch, n_out), and its gradient.

        The gradient [(dW, db), …] consists of new arrays in the shapes of the parameters, of any float dtype.
        """
        raise NotImplementedError

    def _train(self, X: Array, Y: Array, descent: Descent) -> Sequence[float]:
        """Train by gradient descent on X (rows, n_in) and Y (rows, n_out), from the current parameters.

        ``descent`` holds the settings. Returns ``descent.epochs`` numbers: for each epoch, the sum of the losses of all
        rows, each computed before the update of its batch. If the training diverges, the losses are infinite or NaN.
        A long training is several calls, so that it can be interrupted in between.
        """
        raise NotImplementedError
