"""The vectorizable exponential of numba_jit against 40 digits, inside and outside its range."""

import re

import mpmath
import numpy as np
import pytest
from numba import njit

from impls import _exp

RANDOM = np.random.default_rng(0)
DTYPES = (np.float64, np.float32)
ENDS = {np.float64: (-745.0, 709.7), np.float32: (-103.2, 88.7)}
"""By dtype: the ends of the range. exp is denormal at the first, and still finite at the second."""


@njit(**_exp.OPTIONS)
def exps(z):
    for i in range(len(z)):
        z[i] = _exp.exp(z[i])


@njit(**_exp.OPTIONS)
def tanhs(z):
    for i in range(len(z)):
        z[i] = _exp.tanh(z[i])


def computed(compute, points, dtype):
    values = np.array(points, dtype)
    compute(values)
    assert values.dtype == dtype
    return values


def largest_error(exact, points, values, dtype):
    """The largest error in units in the last place; for denormal numbers, the unit is the smallest denormal."""
    with mpmath.workdps(40):
        exact_values = [exact(mpmath.mpf(float(x))) for x in points]
        return max(
            float(abs(mpmath.mpf(float(value)) - exact_value) / float(np.spacing(abs(dtype(exact_value)))))
            for value, exact_value in zip(values, exact_values, strict=True)
        )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_to_one_ulp(dtype):
    points = np.concatenate([RANDOM.uniform(*ENDS[dtype], 4000), RANDOM.normal(size=2000), [0, *ENDS[dtype]]])
    points = points.astype(dtype)
    assert largest_error(mpmath.exp, points, computed(exps, points, dtype), dtype) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_to_one_ulp_where_it_is_denormal(dtype):
    low, _ = ENDS[dtype]
    points = RANDOM.uniform(low, np.log(np.finfo(dtype).tiny), 1000).astype(dtype)
    values = computed(exps, points, dtype)
    assert (values < np.finfo(dtype).tiny).all()
    assert len(set(values)) > 500  # they are not all flushed to zero
    assert largest_error(mpmath.exp, points, values, dtype) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_to_three_ulp_also_where_it_is_small(dtype):
    small = 10.0 ** RANDOM.uniform(-30, 0, 1000)
    points = np.concatenate([RANDOM.normal(size=3000), RANDOM.uniform(-25, 25, 1000), small, -small]).astype(dtype)
    assert largest_error(mpmath.tanh, points, computed(tanhs, points, dtype), dtype) <= 3


@pytest.mark.parametrize(
    ("compute", "points", "values"),
    [
        (exps, [-np.inf, -1e4, 0, -0.0, 1e4, np.inf, np.nan], [0, 0, 1, 1, np.inf, np.inf, np.nan]),
        (tanhs, [-np.inf, -1e4, 0, -0.0, 1e4, np.inf, np.nan], [-1, -1, 0, -0.0, 1, 1, np.nan]),
    ],
    ids=["exp", "tanh"],
)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", [1, 5, 40])
def test_arguments_beyond_the_range(compute, points, values, dtype, length):
    """With one value, which does not fill a vector, and with several vectors."""
    for point, value in zip(points, values, strict=True):
        result = computed(compute, np.full(length, point), dtype)
        np.testing.assert_array_equal(result, np.full(length, value, dtype))
        np.testing.assert_array_equal(np.signbit(result), np.signbit(np.full(length, value, dtype)))


@pytest.mark.parametrize(("dtype", "finite", "overflowing"), [(np.float64, 709.78, 709.79), (np.float32, 88.72, 88.73)])
def test_exp_overflows_where_it_should(dtype, finite, overflowing):
    values = computed(exps, [finite, overflowing], dtype)
    assert np.isfinite(values[0])
    assert values[1] == np.inf


@pytest.mark.parametrize("coefficients", [_exp.P64, _exp.P32], ids=["float64", "float32"])
def test_the_coefficients_are_those_of_the_interpolation(coefficients):
    with mpmath.workdps(40):
        reach = mpmath.log(2) / 2
        count = len(coefficients)
        nodes = [reach * mpmath.cos(mpmath.pi * (2 * k + 1) / (2 * count)) for k in range(count)]  # of Chebyshev
        powers = mpmath.matrix([[r**power for power in reversed(range(count))] for r in nodes])
        # The middle node is 0 but for rounding; the quotient there would be rounding errors alone.
        values = [(mpmath.expm1(r) - r) / r**2 if abs(r) > 1e-9 else 0.5 for r in nodes]
        expected = mpmath.lu_solve(powers, mpmath.matrix(values))
        assert [type(coefficients[0])(c) for c in expected] == list(coefficients)


@pytest.mark.parametrize("compute", [exps, tanhs])
@pytest.mark.parametrize("dtype", DTYPES)
def test_llvm_vectorizes_the_loop(compute, dtype):
    computed(compute, [0.0], dtype)
    kind = "double" if dtype == np.float64 else "float"
    code = compute.inspect_llvm()[next(s for s in compute.signatures if s[0].dtype.name == np.dtype(dtype).name)]
    assert re.search(rf"fmul contract <\d+ x {kind}>", code)
