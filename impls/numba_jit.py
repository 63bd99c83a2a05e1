"""The network in Numba with care: loops that the compiler can turn into vector instructions, and a call that costs
little.

What the decorator alone pays for, and what is done about it here:

- Each argument of a call from Python is unpacked, at 0.03 µs an array, in a tuple or not. A model is one packed array:
  a header (number of layers, codes of activations and loss, layer sizes), then for each layer b and W row by row,
  then workspace.
- A sum along a row may not be reordered, so it is not vectorized. Here the innermost loop runs over the nodes of
  the layer, each of which has a sum of its own, and takes four inputs at a time.
- Divisions are checked for zero unless ``error_model="numpy"``, and ``math.exp`` is called for one number at a
  time.
- Large products of a batch are left to BLAS through ``np.dot``.
"""

import math
from collections.abc import Callable
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, njit, types

from impls import _backend
from impls._backend import Array, Descent, Gradient
from impls._codes import (
    ACTIVATIONS,
    BINARY_CROSS_ENTROPY,
    CATEGORICAL_CROSS_ENTROPY,
    HALF_SQUARED_ERROR,
    LOSSES,
    MEAN_SQUARED_ERROR,
    RELU,
    SIGMOID,
    SOFTMAX,
    TANH,
)
from impls._network import Parameters
from impls._numba import compile_cached

# Products and sums may be fused, but not reordered: exp relies on the order of its own.
jit = njit(error_model="numpy", fastmath={"contract"})
jit_inline = njit(error_model="numpy", fastmath={"contract"}, forceinline=True)

HIDDEN, OUTPUT, LOSS, SIZES = 1, 2, 3, 4
"""Places in the header; place 0 holds the number of layers."""

MOST_EXACT = {"float64": 2**53, "float32": 2**24}
"""Integers up to which the header, of the model's dtype, holds every one."""

SMALL = 2048
"""Multiplications up to which a product of a batch is quicker by loops than by a call of BLAS."""

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
ROUNDING = 6755399441055744.0
"""1.5 · 2⁵²: adding it leaves the nearest integer in the last bits of the sum."""

C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1.0 / math.factorial(k) for k in range(2, 14))


@jit
def exp(x: float) -> float:
    """The exponential, to 2 ulp, 0 below the normal numbers; in a loop it is vectorized.

    x = k ln 2 + r with k an integer, |r| ≤ ½ ln 2; exp r is its Taylor polynomial, 2^k is put together from its bits.
    """
    shifted = x * LOG2_E + ROUNDING
    k = shifted - ROUNDING
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    p = C13 * r + C12
    p = p * r + C11
    p = p * r + C10
    p = p * r + C9
    p = p * r + C8
    p = p * r + C7
    p = p * r + C6
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r * r + r + 1.0
    power = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    # Written so that NaN takes the first branch.
    value = p * power if not x > 709.0 else np.inf
    return 0.0 if x < -708.0 else value


@jit_inline
def activate(activation: int, z: Array) -> None:
    """Replace one layer of one sample, z (n,), by its activation."""
    if activation == SIGMOID:
        for j in range(len(z)):
            z[j] = 1.0 / (1.0 + exp(-z[j]))
    elif activation == TANH:
        for j in range(len(z)):
            z[j] = math.tanh(z[j])
    elif activation == RELU:
        for j in range(len(z)):
            z[j] = z[j] if not z[j] < 0 else 0.0
    elif activation == SOFTMAX:
        top = z[0]
        for j in range(1, len(z)):
            top = z[j] if z[j] > top else top
        total = 0.0
        for j in range(len(z)):
            z[j] = exp(z[j] - top)
            total += z[j]
        for j in range(len(z)):
            z[j] /= total


@jit_inline
def affine(P: Array, p: int, a: Array, z: Array) -> None:
    """Write a W + b into z, for the layer that begins at P[p]."""
    m = len(z)
    for j in range(m):
        z[j] = P[p + j]
    p += m
    i = 0
    while i + 4 <= len(a):
        row0, row1, row2, row3 = P[p : p + m], P[p + m : p + 2 * m], P[p + 2 * m : p + 3 * m], P[p + 3 * m : p + 4 * m]
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for j in range(m):
            z[j] += a0 * row0[j] + a1 * row1[j] + a2 * row2[j] + a3 * row3[j]
        i += 4
        p += 4 * m
    while i < len(a):
        row0, a0 = P[p : p + m], a[i]
        for j in range(m):
            z[j] += a0 * row0[j]
        i += 1
        p += m


@jit
def forward(P: Array, x: Array, out: Array) -> None:
    """Write the outputs of one sample, x (n_in,), into out (n_out,)."""
    layers, hidden, output = int(P[0]), int(P[HIDDEN]), int(P[OUTPUT])
    p = SIZES + layers + 1
    if layers == 1:
        affine(P, p, x, out)
        activate(output, out)
        return
    n, m = int(P[SIZES]), int(P[SIZES + 1])
    w = len(P) - m
    a = P[w:]
    affine(P, p, x, a)
    activate(hidden, a)
    p += (n + 1) * m
    for layer in range(1, layers - 1):
        n, m = m, int(P[SIZES + layer + 1])
        w -= m
        z = P[w : w + m]
        affine(P, p, a, z)
        activate(hidden, z)
        p += (n + 1) * m
        a = z
    affine(P, p, a, out)
    activate(output, out)


@jit
def activate_batch(activation: int, Z: Array) -> None:
    """Replace one layer of a batch, Z (rows, n), by its activation."""
    if activation == SOFTMAX:
        for s in range(len(Z)):
            activate(activation, Z[s])
    else:
        activate(activation, Z.reshape(-1))


@jit
def multiply_derivative(activation: int, A: Array, D: Array) -> None:
    """Multiply D (rows, n) by the activation's derivative, from its value A."""
    a, d = A.reshape(-1), D.reshape(-1)
    if activation == SIGMOID:
        for j in range(len(a)):
            d[j] *= a[j] * (1 - a[j])
    elif activation == TANH:
        for j in range(len(a)):
            d[j] *= 1 - a[j] * a[j]
    elif activation == RELU:
        for j in range(len(a)):
            d[j] = d[j] if a[j] > 0 else 0.0


@jit
def weights(P: Array, p: int, n: int, m: int) -> Array:
    """W (n, m) of the layer that begins at P[p]."""
    return P[p + m : p + m + n * m].reshape(n, m)


@jit
def product(A: Array, W: Array, Z: Array) -> None:
    """Write A W into Z."""
    if len(A) * W.size > SMALL:
        np.dot(A, W, Z)
        return
    for s in range(len(A)):
        z = Z[s]
        z[:] = 0
        for i in range(len(W)):
            a, row = A[s, i], W[i]
            for j in range(len(z)):
                z[j] += a * row[j]


@jit
def logits(P: Array, X: Array, work: Array) -> None:
    """Write the activations of every hidden layer and the logits into work, (rows, width) one after another."""
    layers, hidden, p, w = int(P[0]), int(P[HIDDEN]), SIZES + int(P[0]) + 1, 0
    A = X
    for layer in range(layers):
        n, m = int(P[SIZES + layer]), int(P[SIZES + layer + 1])
        Z = work[w : w + len(X) * m].reshape(len(X), m)
        product(A, weights(P, p, n, m), Z)
        b = P[p : p + m]
        for s in range(len(X)):
            Z[s] += b
        if layer < layers - 1:
            activate_batch(hidden, Z)
        A = Z
        p += (n + 1) * m
        w += Z.size


@jit
def product_with_transposed(D: Array, W: Array, A: Array) -> None:
    """Write D Wᵀ into A."""
    if len(D) * W.size > SMALL:
        np.dot(D, W.T, A)
        return
    for s in range(len(D)):
        for i in range(len(W)):
            total = 0.0
            for j in range(W.shape[1]):
                total += D[s, j] * W[i, j]
            A[s, i] = total


@jit
def product_of_transposed(A: Array, D: Array, W: Array) -> None:
    """Write Aᵀ D into W."""
    if len(A) * W.size > SMALL:
        np.dot(A.T, D, W)
        return
    W[:] = 0
    for s in range(len(A)):
        d = D[s]
        for i in range(len(W)):
            a, row = A[s, i], W[i]
            for j in range(len(d)):
                row[j] += a * d[j]


@jit
def cross_entropy(loss: int, z: Array, y: Array) -> float:
    """Cross-entropy of one sample, from its logits."""
    total = 0.0
    if loss == BINARY_CROSS_ENTROPY:
        for j in range(len(z)):
            linear = z[j] * (1 - y[j]) if z[j] > 0 else -z[j] * y[j]
            total += linear + math.log1p(math.exp(-abs(z[j])))
    elif loss == CATEGORICAL_CROSS_ENTROPY:
        top = z.argmax()
        others = 0.0
        for j in range(len(z)):
            if j != top:
                others += math.exp(z[j] - z[top])
        for j in range(len(z)):
            total += y[j] * (math.log1p(others) - (z[j] - z[top]))
    return total


@jit
def batch_loss(output: int, loss: int, Z: Array, Y: Array) -> float:
    """Summed loss of a batch: a cross-entropy from its logits Z, a squared error after Z has become the outputs."""
    total = 0.0
    if loss >= BINARY_CROSS_ENTROPY:
        for s in range(len(Z)):
            total += cross_entropy(loss, Z[s], Y[s])
        return total
    activate_batch(output, Z)
    for s in range(len(Z)):
        for j in range(Z.shape[1]):
            error = Z[s, j] - Y[s, j]
            total += error * error
    return total * 0.5 if loss == HALF_SQUARED_ERROR else total / Z.shape[1]


@jit
def workspace(P: Array, rows: int) -> Array:
    """Room for the activations and logits of a batch."""
    width = 0
    for layer in range(int(P[0])):
        width += int(P[SIZES + layer + 1])
    return np.empty(rows * width, P.dtype)


@jit
def forward_batch(P: Array, X: Array, out: Array) -> None:
    """Write the outputs of a batch, X (rows, n_in), into out (rows, n_out)."""
    work = workspace(P, len(X))
    logits(P, X, work)
    out[:] = work[len(work) - out.size :].reshape(out.shape)
    activate_batch(int(P[OUTPUT]), out)


@jit
def total_loss(P: Array, X: Array, Y: Array) -> float:
    """Summed loss of a batch."""
    work = workspace(P, len(X))
    logits(P, X, work)
    return batch_loss(int(P[OUTPUT]), int(P[LOSS]), work[len(work) - Y.size :].reshape(Y.shape), Y)


@jit
def gradient(P: Array, X: Array, Y: Array, G: Array) -> float:
    """Write the summed gradient of a batch into G, laid out like the parameters in P; return its summed loss."""
    layers, hidden, output, loss = int(P[0]), int(P[HIDDEN]), int(P[OUTPUT]), int(P[LOSS])
    work = workspace(P, len(X))
    logits(P, X, work)
    w = len(work) - Y.size
    Z = work[w:].reshape(Y.shape)
    total = batch_loss(output, loss, Z, Y)
    if loss >= BINARY_CROSS_ENTROPY:
        activate_batch(output, Z)
        D = Z - Y
    else:
        D = Z - Y
        multiply_derivative(output, Z, D)
        if loss == MEAN_SQUARED_ERROR:
            D *= P.dtype.type(2 / Y.shape[1])
    p = SIZES + layers + 1
    g = len(G)
    for layer in range(layers - 1, -1, -1):
        n, m = int(P[SIZES + layer]), int(P[SIZES + layer + 1])
        g -= (n + 1) * m
        if layer > 0:
            w -= len(X) * n
            A = work[w : w + len(X) * n].reshape(len(X), n)
        else:
            A = X
        product_of_transposed(A, D, weights(G, g, n, m))
        db = G[g : g + m]
        db[:] = 0
        for s in range(len(D)):
            db += D[s]
        if layer > 0:
            previous = np.empty((len(X), n), P.dtype)
            product_with_transposed(D, weights(P, p + g, n, m), previous)
            multiply_derivative(hidden, A, previous)
            D = previous
    return total


@jit
def train(
    P: Array,
    X: Array,
    Y: Array,
    G: Array,
    size: int,
    learning_rate: float,
    bias_learning_rate: float,
    mean: bool,
    losses: Array,
) -> None:
    """Gradient descent in batches of ``size`` rows; write the summed loss of each epoch into losses."""
    layers = int(P[0])
    for epoch in range(len(losses)):
        losses[epoch] = 0
        for start in range(0, len(X), size):
            x, y = X[start : start + size], Y[start : start + size]
            losses[epoch] += gradient(P, x, y, G)
            scale = 1 / len(x) if mean else 1.0
            rate, bias_rate = P.dtype.type(learning_rate * scale), P.dtype.type(bias_learning_rate * scale)
            p, g = SIZES + layers + 1, 0
            for layer in range(layers):
                m = int(P[SIZES + layer + 1])
                q = (int(P[SIZES + layer]) + 1) * m
                for i in range(m):
                    P[p + i] -= bias_rate * G[g + i]
                for i in range(m, q):
                    P[p + i] -= rate * G[g + i]
                p += q
                g += q


class Kernels(NamedTuple):
    """The compiled functions, past their dispatchers, which would check the types of the arguments once more."""

    forward: Callable[..., Any]
    forward_batch: Callable[..., Any]
    total_loss: Callable[..., Any]
    gradient: Callable[..., Any]
    train: Callable[..., Any]


def _entry(function: Any, *signature: Any) -> Callable[..., Any]:
    entry: Callable[..., Any] = compile_cached(function, signature).entry_point
    return entry


class Model(_backend.Model):
    """Numba with care: one packed array, vectorized loops, BLAS for large batches."""

    dtypes = ("float64", "float32")
    compiles = True

    def _store(self, parameters: Parameters) -> None:
        network = self.network
        if max(network.layer_sizes) > MOST_EXACT[self.dtype.name]:
            raise ValueError(
                f"numba_jit has no layers of more than {MOST_EXACT[self.dtype.name]} nodes in {self.dtype}"
            )
        codes = ACTIVATIONS[network.hidden], ACTIVATIONS[network.output], LOSSES[network.loss]
        header = [len(network.shapes), *codes, *network.layer_sizes]
        flat = [part for W, b in parameters for part in (b, W.ravel())]
        work = np.zeros(sum(network.layer_sizes[1:-1]))
        self._packed = np.concatenate([header, *flat, work]).astype(self.dtype)
        self._gradients = np.zeros(sum(part.size for part in flat), self.dtype)
        self._first = len(header)

        real = from_dtype(self.dtype)
        strided = types.Array(real, 1, "A", readonly=True)
        vector, matrix = types.Array(real, 1, "C"), types.Array(real, 2, "C")
        losses = types.Array(types.float64, 1, "C")
        scalars = types.int64, types.float64, types.float64, types.boolean
        self._kernels = Kernels(
            forward=_entry(forward, vector, strided, vector),
            forward_batch=_entry(forward_batch, vector, matrix, matrix),
            total_loss=_entry(total_loss, vector, matrix, matrix),
            gradient=_entry(gradient, vector, matrix, matrix, vector),
            train=_entry(train, vector, matrix, matrix, vector, *scalars, losses),
        )
        self._forward_sample = MethodType(self._kernels.forward, self._packed)

    def _unpacked(self, flat: Array) -> Gradient:
        pairs, p = [], 0
        for n, m in self.network.shapes:
            pairs.append((flat[p + m : p + m + n * m].reshape(n, m), flat[p : p + m]))
            p += (n + 1) * m
        return pairs

    def _fetch(self) -> Gradient:
        return self._unpacked(self._packed[self._first :])

    def _forward_batch(self, X: Array) -> Array:
        out = np.empty((len(X), self.network.n_out), self.dtype)
        self._kernels.forward_batch(self._packed, X, out)
        return out

    def _loss(self, X: Array, Y: Array) -> float:
        return float(self._kernels.total_loss(self._packed, X, Y))

    def _gradient(self, X: Array, Y: Array) -> tuple[float, Gradient]:
        gradients = np.empty_like(self._gradients)
        total = self._kernels.gradient(self._packed, X, Y, gradients)
        return total, self._unpacked(gradients)

    def _train(self, X: Array, Y: Array, descent: Descent) -> Any:
        losses = np.empty(descent.epochs)
        rates = descent.learning_rate, descent.bias_learning_rate
        self._kernels.train(self._packed, X, Y, self._gradients, descent.size, *rates, descent.mean, losses)
        return losses
