"""The contract of a backend, and the class that every backend derives from.

A backend is one file in ``impls/`` (or ``impls/peers/``, or a third party's module named by an entry point of the
group ``mlpbench.backends``). It holds one class, ``Model``, derived from ``impls.Model``: one network with its
parameters. The base class checks the caller's arguments and allocates the results. The backend computes, in six methods
whose docstrings below state what each gets and returns: ``_store``, ``_fetch``, ``_forward_batch``, ``_loss``,
``_gradient`` and ``_train``; and in the attribute ``_forward_sample``, which ``_store`` sets.

``self.network`` and ``self.dtype`` say what to compute, and in what dtype; the docstring of ``impls.Network`` has the
formulas. The methods run with NumPy's floating-point warnings off. They get C-contiguous arrays of the model's dtype,
which they must not write to. What they return must not share memory with anything that the model keeps.

Three class attributes may be set: ``dtypes``, ("float64",) unless the backend supports float32 as well; ``compiles``,
True where building the first model compiles; ``compiles_shapes``, True where every other network or batch size compiles
again. A backend that does not support the loss, the gradient or the training of a network says so in the class method
``lacks``; the method behind it is then never called. The first line of the class's docstring describes the backend.

A model keeps workspaces: use it from one thread at a time.
"""

from __future__ import annotations

import contextvars
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy import empty, ndarray
from numpy.typing import ArrayLike, NDArray

from impls import _check
from impls._network import Network, Parameters

Array = NDArray[Any]
LayerArrays = list[tuple[Array, Array]]
"""An array in the shape of the weights and one in that of the biases, for each layer."""
Gradient = LayerArrays


class Descent(NamedTuple):
    """The settings of a gradient descent.

    Every epoch goes through the rows of X in order, in batches of ``size``; the last batch may be shorter. An update
    subtracts rate × gradient of the batch's summed loss, divided by the length of that batch where ``mean``.
    """

    size: int
    epochs: int
    learning_rate: float
    bias_learning_rate: float
    mean: bool


class UnsupportedOperation(NotImplementedError):
    """An operation that a backend does not support for a network; the text says why in one line."""


class Model(ABC):
    """One network with its parameters, as one backend holds and computes it."""

    dtypes: ClassVar[tuple[str, ...]] = ("float64",)
    compiles: ClassVar[bool] = False
    compiles_shapes: ClassVar[bool] = False

    @classmethod
    def lacks(cls, network: Network) -> Mapping[str, str]:
        """The operations that the backend does not support for a network, with reasons.

        Keys are of "loss", "gradient" and "train"; a value is the reason, in one line.
        """
        return {}

    def __init__(self, network: Network, parameters: Sequence[tuple[ArrayLike, ArrayLike]], dtype: np.dtype[Any]):
        self.network = network
        self.dtype = dtype
        self._lacking = self.lacks(network)
        self._forward_sample: Callable[[Array, Array], object]
        self._quietly = quietly()
        self._quietly(self._store, self._quietly(network.check_parameters, parameters, dtype))
        self.forward = self._checked_forward()

    forward: Callable[[ArrayLike], Array]
    """Outputs of one sample, (n_in,) -> (n_out,), or of a batch, (batch, n_in) -> (batch, n_out).

    NaN and infinity pass through to the outputs that depend on them. Raises TypeError for a dtype that is not real,
    ValueError for a shape that does not fit.
    """

    def loss(self, X: ArrayLike, Y: ArrayLike, reduction: str = "mean") -> float:
        """Loss of X (batch, n_in) against the targets Y (batch, n_out), its mean or sum over the batch.

        Raises UnsupportedOperation, like ``gradient`` and ``train``, where the backend does not support it.
        """
        self._require("loss")
        X, Y = self._samples(X, Y)
        mean = _check.reduction(reduction)
        total = float(self._quietly(self._loss, X, Y))
        return total / len(X) if mean else total

    def gradient(self, X: ArrayLike, Y: ArrayLike, reduction: str = "mean") -> tuple[float, Gradient]:
        """The loss, and its gradient [(dW, db), …] in the shapes of the parameters and the model's dtype."""
        self._require("gradient")
        X, Y = self._samples(X, Y)
        mean = _check.reduction(reduction)
        total, sums = self._quietly(self._gradient, X, Y)
        gradient = [(np.asarray(dW, self.dtype), np.asarray(db, self.dtype)) for dW, db in sums]
        if mean:
            for dW, db in gradient:
                dW /= len(X)
                db /= len(X)
        return float(total) / len(X) if mean else float(total), gradient

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
        """Gradient descent from the present parameters; returns the loss of each epoch, (epochs,).

        ``batches``: None takes all samples at once; an integer, consecutive batches of that size, the last may be
        shorter; an integer array (steps, size), exactly those rows, in that order, in every epoch. A step follows
        the mean or sum, as ``reduction`` says, of its batch's losses. ``bias_learning_rate`` None means
        ``learning_rate``. An epoch's loss is the mean or sum over all samples that it saw, each before its own
        update. A training that diverges returns infinity or NaN.
        """
        self._require("train")
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
        losses = np.asarray(self._quietly(self._train, X, Y, descent), np.float64)
        if losses.shape != (epochs,):
            raise RuntimeError(f"a training of {epochs} epochs gave losses of shape {losses.shape}")
        if mean:
            losses /= float(len(X))
        return losses

    def parameters(self) -> Parameters:
        """The parameters as they are now, as float64 copies [(W, b), …], W (n_in, n_out), b (n_out,)."""
        return [(np.array(W, np.float64, order="C"), np.array(b, np.float64)) for W, b in self._fetch()]

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a model can be neither copied nor pickled; build another from its parameters()")

    def _checked_forward(self) -> Callable[[ArrayLike], Array]:
        """``forward`` as a closure: what a method looks up in ``self`` would be a twentieth of the shortest call."""
        dtype, n_in = self.dtype, self.network.n_in
        sample_shape, output_shape = (n_in,), (self.network.n_out,)
        sample: Callable[[Array, Array], object] = self._forward_sample
        batch: Callable[[Array], Array] = partial(self._quietly, self._forward_batch)
        check: Callable[..., Array] = partial(self._quietly, _check.inputs)

        def forward(x: ArrayLike) -> Array:
            if x.__class__ is not ndarray or x.dtype is not dtype or x.shape != sample_shape:
                x = check(x, n_in, dtype)
                if x.ndim == 2:
                    return batch(x)
            out = empty(output_shape, dtype)
            sample(x, out)
            return out

        return forward

    def _require(self, operation: str) -> None:
        reason = self._lacking.get(operation)
        if reason is not None:
            name = type(self).__module__.rpartition(".")[2]
            raise UnsupportedOperation(f"{name} does not support {operation} for this network: {reason}")

    def _samples(self, X: ArrayLike, Y: ArrayLike) -> tuple[Array, Array]:
        network = self.network
        checked: tuple[Array, Array] = self._quietly(
            _check.samples, X, Y, network.n_in, network.n_out, network.loss, self.dtype
        )
        return checked

    @abstractmethod
    def _store(self, parameters: Parameters) -> None:
        """Take the parameters, make workspaces, compile, and set ``self._forward_sample``.

        ``parameters``: copies [(W, b), …], W (n_in, n_out) and b (n_out,), float64 but rounded to the model's dtype.
        They are converted to the backend's own layout.

        ``self._forward_sample(x, out)`` writes the outputs of one sample, x (n_in,) with any strides, into out
        (n_out,), both of the model's dtype. It is the call that is timed, so it is an attribute and not a method, and
        it is called as it is: where NumPy may warn in it, set ``partial(self._quietly, function)``. Raises ValueError
        for a network that the backend cannot hold.
        """

    @abstractmethod
    def _fetch(self) -> Sequence[tuple[ArrayLike, ArrayLike]]:
        """The parameters as they are now, [(W, b), …], W (n_in, n_out) and b (n_out,), of any float dtype."""

    @abstractmethod
    def _forward_batch(self, X: Array) -> Array:
        """The outputs (batch, n_out) of X (batch, n_in), a new array of the model's dtype.

        NaN and infinity in a sample reach the outputs that depend on them, and no other sample.
        """

    @abstractmethod
    def _loss(self, X: Array, Y: Array) -> float:
        """The sum of the losses of the samples X (batch, n_in) against the targets Y (batch, n_out)."""

    @abstractmethod
    def _gradient(self, X: Array, Y: Array) -> tuple[float, Sequence[tuple[ArrayLike, ArrayLike]]]:
        """The summed loss of X (batch, n_in) against Y (batch, n_out), and its gradient.

        The gradient is [(dW, db), …] in the shapes of the parameters: new arrays of any float dtype.
        """

    @abstractmethod
    def _train(self, X: Array, Y: Array, descent: Descent) -> Sequence[float]:
        """Gradient descent on X (rows, n_in) and Y (rows, n_out), from the present parameters, as ``descent`` says.

        Returns for each epoch the sum of the losses of its samples, each before its own update: ``descent.epochs``
        numbers. A training that diverges gives infinity or NaN.
        """


def quietly() -> Callable[..., Any]:
    """A caller ``run(function, *arguments)`` under which NumPy's floating-point warnings are off.

    Entering a stored context costs 0.06 µs; ``np.errstate`` on every call, 1.3 µs.
    """
    context = contextvars.copy_context()
    context.run(partial(np.seterr, all="ignore"))
    return context.run
