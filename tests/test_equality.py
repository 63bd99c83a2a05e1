"""Equality of results: against numpy.testing for arrays, and by cases for nested values."""

import math
from collections import namedtuple
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pairbench.equality import check_difference, difference
from tests.helpers import assert_one_line

RTOL, ATOL = 1e-3, 1e-6
FLOATS = (
    st.floats(-1e300, 1e300)
    | st.sampled_from([math.nan, math.inf, -math.inf])
    | st.sampled_from([0.0, 1.0, 1.0005, 1.002, 1e-7])
)


@given(
    arrays.arrays(np.float64, 3, elements=FLOATS),
    arrays.arrays(np.float64, 3, elements=FLOATS),
    st.sampled_from([np.asarray, list, tuple]),
)
def test_arrays_and_lists_are_equal_as_numpy_testing_says(expected, output, kind):
    for other in (output, expected * (1 + 0.9 * RTOL), expected):
        try:
            np.testing.assert_allclose(other, expected, RTOL, ATOL)
            equal = True
        except AssertionError:
            equal = False
        assert (difference(expected, kind(other.tolist()), RTOL, ATOL) == "") is equal
        assert (difference(expected.tolist(), other.tolist(), RTOL, ATOL) == "") is equal


Point = namedtuple("Point", "x y")


class Opaque:
    pass


ONE = Opaque()


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        (1, 1.0),
        (1.0, 1.0 + 1e-4),
        (1 + 2j, (1 + 2j) * (1 + 1e-4)),
        (math.inf, math.inf),
        ([1.0, (2.0, {"a": np.array([3.0])})], [1.0, [2.0, {"a": [3.0]}]]),
        (Point(1, 2), Point(1, 2)),
        ("text", "text"),
        (None, None),
        ({1, 2}, {2, 1}),
        (Fraction(1, 3), 1 / 3),
        (10**400, 10**400),
        (np.array(["a", "b"]), np.array(["a", "b"])),
        (np.array([1, "x", None], dtype=object), [1, "x", None]),
        (ONE, ONE),
        ([], []),
    ],
)
def test_equal(expected, output):
    assert difference(expected, output, RTOL, ATOL) == ""


@pytest.mark.parametrize(
    ("expected", "output", "words"),
    [
        (1.0, 1.01, "result is 1.01 instead of 1.0"),
        (3, 4, "result is 4 instead of 3"),
        (10**9, 10**9 + 1, "instead of"),  # whole numbers are exact, however close
        (np.array([10**9]), np.array([10**9 + 1]), "instead of"),
        (10**400, 1.0, "instead of"),
        (math.nan, 1.0, "instead of nan"),
        (math.inf, -math.inf, "instead of inf"),
        (math.inf, 1e308, "instead of inf"),
        (1.0, "1.0", "instead of 1.0"),
        (1.0, None, "is None"),
        ([1, 2], [1, 2, 3], "result has 3 elements instead of 2"),
        ({"a": 1}, {"b": 1}, "is in one result only"),
        ({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]}, "result['a'][1] is 3.0 instead of 2.0"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "has the shape (3, 2) instead of (2, 3)"),
        (np.zeros(4), np.array([0, 0, 1.0, 1.0]), "2 of 4 elements differ; result[2] is 1.0 instead of 0.0"),
        (Opaque(), Opaque(), "of type Opaque, which cannot be compared; give check="),
        ("a\nb\x1b[31m", "a", "instead of"),
    ],
)
def test_different(expected, output, words):
    found = difference(expected, output, RTOL, ATOL)
    assert words in found
    assert_one_line(found)


def test_a_result_whose_comparison_fails_is_not_equal():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("no")

        def __hash__(self):
            return 0

    assert "RuntimeError: no" in difference(Odd(), Odd(), RTOL, ATOL)


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda one, other: None, ""),
        (lambda one, other: True, ""),
        (lambda one, other: False, "does not accept"),
        (lambda one, other: np.False_, "does not accept"),
        (lambda one, other: np.testing.assert_equal(one, other), "AssertionError"),
        (lambda one, other: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_check_refuses_by_a_false_value_or_an_exception(check, words):
    found = check_difference(check, 1, 2)
    assert words in found
    assert bool(found) == bool(words)
    assert_one_line(found)
