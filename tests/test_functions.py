"""The mathematical functions of numba_simd against 40 digits, and its blocks against NumPy."""

import mpmath
import numpy as np
import pytest
from numba import njit
from numpy.testing import assert_allclose

import impls
from impls import Network
from impls._simd import blocks, functions, packed, sample_blocks, samples, tiles
from impls._simd.options import OPTIONS

RANDOM = np.random.default_rng(0)
DTYPES = (np.float64, np.float32)


@njit
def call(function, argument):
    """Call a function from compiled code, as the kernels do."""
    return function(argument)


@njit(**OPTIONS)
def log1ps(u):
    for j in range(len(u)):
        u[j] = functions.log1p(u[j])


SMALL = 10.0 ** RANDOM.uniform(-30, 0, 500)
CASES = {
    "exp": (functions.exps, mpmath.exp, np.concatenate([RANDOM.uniform(-87, 88, 2000), RANDOM.normal(size=2000), [0]])),
    "sigmoid": (
        functions.sigmoids,
        lambda x: 1 / (1 + mpmath.exp(-x)),
        np.concatenate([RANDOM.normal(scale=4, size=3000), RANDOM.uniform(-86, 86, 1000)]),
    ),
    "tanh": (
        functions.tanhs,
        mpmath.tanh,
        np.concatenate([RANDOM.normal(size=3000), RANDOM.uniform(-25, 25, 1000), SMALL, -SMALL]),
    ),
    "log1p": (log1ps, mpmath.log1p, np.concatenate([RANDOM.uniform(size=3000), SMALL, [0, 1]])),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_three_ulp(name, dtype):
    compute, exact, points = CASES[name]
    points = points.astype(dtype)
    values = points.copy()
    call(compute, values)
    assert values.dtype == dtype
    with mpmath.workdps(40):
        for x, value in zip(points, values, strict=True):
            right = exact(mpmath.mpf(float(x)))
            assert abs(mpmath.mpf(float(value)) - right) <= 3 * np.spacing(abs(dtype(right))), x


@pytest.mark.parametrize(
    ("compute", "points", "values"),
    [
        (functions.exps, [-800, -np.inf, 800, np.inf, np.nan], [0, 0, np.inf, np.inf, np.nan]),
        (functions.sigmoids, [-800, -np.inf, 800, np.inf, np.nan], [0, 0, 1, 1, np.nan]),
        (functions.tanhs, [-800, -np.inf, 800, np.inf, np.nan], [-1, -1, 1, 1, np.nan]),
        (functions.relus, [-1, -np.inf, 2, np.inf, np.nan], [0, 0, 2, np.inf, np.nan]),
    ],
    ids=["exp", "sigmoid", "tanh", "relu"],
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [1, 5, 40])
def test_arguments_at_the_ends_of_the_range(compute, points, values, dtype, length):
    """With one value, which does not fill a vector, and with several vectors."""
    for point, value in zip(points, values, strict=True):
        z = np.full(length, point, dtype)
        call(compute, z)
        np.testing.assert_array_equal(z, np.full(length, value, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_exponential_that_is_a_normal_number_is_not_zero(dtype):
    tiny = float(np.finfo(dtype).tiny)
    lowest = float(mpmath.log(tiny))
    x = np.linspace(lowest * (1 - 1e-6), lowest + 1, 40).astype(dtype)
    z = x.copy()
    call(functions.exps, z)
    assert_allclose(z, [float(mpmath.exp(float(one))) for one in x], rtol=4 * np.finfo(dtype).eps)
    below = np.array([lowest * (1 + 1e-6)], dtype)
    call(functions.exps, below)
    assert below[0] == 0


def test_the_sigmoid_keeps_its_small_tail():
    z = np.array([-700.0])
    call(functions.sigmoids, z)
    assert_allclose(z[0], float(mpmath.exp(-700)), rtol=1e-15)


def test_the_exponential_minus_one_keeps_its_digits():
    """exp r - 1 is right to 2 ulp for all |r| up to ln 2 / 2, where no power of 2 is factored out."""
    with mpmath.workdps(40):
        reach = mpmath.log(2) / 2
        for r in np.linspace(-float(reach), float(reach), 101):
            p, power = call(functions.parts64, r)
            assert power == 1
            assert abs(p - mpmath.expm1(mpmath.mpf(r))) <= 2 * np.spacing(abs(float(r)) or 1e-300)


WIDE = Network((20, 30, 10), "tanh", "sigmoid", "binary_cross_entropy")
NARROW = Network((3, 4, 2), "relu", "identity", "mean_squared_error")
SOFTMAX = Network((20, 30, 5), "sigmoid", "softmax", "categorical_cross_entropy")
NARROW_SOFTMAX = Network((3, 4, 3), "tanh", "softmax", "categorical_cross_entropy")


@pytest.mark.slow
@pytest.mark.parametrize("network", [WIDE, NARROW, SOFTMAX, NARROW_SOFTMAX], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [1, 63, 64, 65, 128, 511, 512, 513, 1100])
def test_batches_of_any_number_of_blocks_match_the_matrix_form(network, dtype, batch):
    """At the edges of a block, for layers that BLAS computes and layers that loops compute."""
    parameters = network.random_parameters()
    X, Y = RANDOM.normal(size=(batch, network.n_in)), RANDOM.uniform(size=(batch, network.n_out))
    if network.output == "softmax":
        Y /= Y.sum(axis=1, keepdims=True)
    X, Y = X.astype(dtype), Y.astype(dtype)
    if network.output == "softmax" and dtype == np.float32:
        Y = np.eye(network.n_out, dtype=dtype)[RANDOM.integers(network.n_out, size=batch)]
    model, matrix = (impls.load(name).build(network, parameters, dtype) for name in ("numba_simd", "numpy_plain"))
    near = {"rtol": 1e-12, "atol": 1e-13} if dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-5}
    assert_allclose(model.forward(X), matrix.forward(X), **near)
    assert_allclose(model.loss(X, Y), matrix.loss(X, Y), **near)
    for one, other in zip(model.gradient(X, Y)[1], matrix.gradient(X, Y)[1], strict=True):
        for part, right in zip(one, other, strict=True):
            assert_allclose(part, right, **near)
    for size in (None, 1, 100):
        batches = size if size is None or size <= batch else batch
        losses, right = (of.train(X, Y, epochs=2, learning_rate=0.01, batches=batches) for of in (model, matrix))
        assert_allclose(losses, right, **near)
    for one, other in zip(model.parameters(), matrix.parameters(), strict=True):
        assert_allclose(one[0], other[0], **near)
        assert_allclose(one[1], other[1], **near)


VAST = (1500, 1450)


@pytest.mark.parametrize(
    "sizes", [*((300, m) for m in (1, 7, 8, 9, 16, 23, 24, 25, 49)), (400, 400, 2), (5, 1024), VAST]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_at_the_edges_of_a_tile_and_beyond_them(sizes, dtype):
    network = Network(sizes, "tanh", "identity")
    parameters = network.random_parameters()
    model, matrix = (impls.load(name).build(network, parameters, dtype) for name in ("numba_simd", "numpy_plain"))
    near = {"rtol": 1e-12, "atol": 1e-13} if dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-5}
    for batch in (1, 4, 5, 8, 9, 65, 130):
        X = RANDOM.normal(size=(batch, network.n_in)).astype(dtype)
        assert_allclose(model.forward(X), matrix.forward(X), **near)
        assert_allclose(model.forward(X[0]), matrix.forward(X[0]), **near)


def test_the_networks_above_cover_every_kernel():
    assert blocks.is_narrow(NARROW)
    assert not blocks.is_narrow(WIDE)
    vast = VAST[0] * VAST[1]
    assert vast > sample_blocks.LARGE
    assert samples.CACHED < tiles.REACH < 4 * vast
    assert 9 < tiles.FEW < 65 <= sample_blocks.MANY < 130
    assert 4 * 1024 % packed.CROWDED == 0
