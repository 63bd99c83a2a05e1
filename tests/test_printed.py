"""Comparison of computed values with printed digits."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.tutorials.printed import reproduces, shown

ORDINARY = st.floats(-1e6, 1e6, allow_nan=False)


@given(ORDINARY, st.integers(1, 10))
def test_a_value_reproduces_its_own_digits_and_no_others(value, digits):
    printed = f"{value:.{digits}f}"
    assert reproduces(value, printed)
    for step in (1, -1):
        assert not reproduces(value, f"{float(printed) + step * 10**-digits:.{digits}f}")


@given(ORDINARY, st.integers(1, 12))
def test_powers_of_ten(value, digits):
    assume(abs(value) > 1e-300)  # a denormal number does not have that many digits
    assert reproduces(value, f"{value:.{digits}e}")
    assert not reproduces(value * (1 + 10 ** (1 - digits)), f"{value:.{digits}e}")


@given(ORDINARY)
def test_exact_digits_are_all_digits(value):
    assert reproduces(value, repr(value), "exact")
    assert not reproduces(np.nextafter(value, math.inf), repr(value), "exact")


@pytest.mark.parametrize(
    ("value", "printed", "form", "same"),
    [
        (0.83545566, "0.8354", "truncated", True),
        (0.83545566, "0.8354", "rounded", False),
        (0.83545566, "0.8355", "rounded", True),
        (-0.83545566, "-0.8354", "truncated", True),
        (0.54, "0.5", "rounded", True),
        (0.54, "0.5", "exact", False),
        (19.4, "19", "exact", False),
        ([1.0, 2.0], "1 2", "exact", True),
        ([[1.0], [2.0]], "1 2", "exact", True),
        ([2.0, 1.0], "1 2", "exact", False),
        ([1.0], "1 1", "exact", False),
        ([1.0, 1.0, 1.0], "1 1", "exact", False),
        ([87.3, 90.5], "86", "below all", True),
        ([85.9, 90.5], "86", "below all", False),
        ([math.nan, 90.5], "86", "below all", False),
        (math.nan, "1.0", "rounded", False),
        (math.inf, "1.0", "rounded", False),
        (1e300, "1.00000000", "rounded", False),
        (5e-324, "0.00", "rounded", True),
        (9.6e-5, "1.0e-04", "rounded", False),
        (9.96e-5, "1.0e-04", "rounded", True),
        (0.125, "0.12", "rounded", True),
        (0.375, "0.38", "rounded", True),
    ],
)
def test_reproduction_of_every_form(value, printed, form, same):
    assert reproduces(value, printed, form) is same


def test_shown_digits():
    assert shown(0.83545566, "0.8354", "truncated") == "0.8354"
    assert shown([0.83545566, 0.5], "0.8354 0.5") == "0.8354557 0.5"
    assert shown([87.34353, 90.5424, 88], "86", "below all") == "87.3435 to 90.5424"
    assert shown(0.50000001, "0.5", "exact") == "0.50000001"
    assert shown(math.nan, "1.0") == "nan"
    assert shown([1, 2, 3], "1 2") == "1 2 3"
