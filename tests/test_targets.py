"""The judgement of computed arrays: values within the bound pass, and the reason names the first wrong one."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bench.proof.bounds import Bounded
from bench.proof.oracle import mp
from bench.proof.targets import Evidence, bounded_target, combined, exact_target, flat
from impls import Network
from pairbench.workload import OtherObject

INF = np.inf
EPSILON = 2.0**-52


def exactly(values, bound, dtype="float64", what="output"):
    return exact_target(what, dtype, values, np.array(bound, float))


def test_an_error_up_to_its_bound_passes_and_one_beyond_it_is_named():
    target = exactly([[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.5], [0.25, 0.5]])
    assert target.judge([[1.0, 2.5], [3.25, 4.0]]) == Evidence(True, 0.5 / (2 * EPSILON), 1.0, "")
    found = target.judge([[1.5, 2.0], [3.375, 4.5]])
    assert found == Evidence(False, 0.375 / (2 * EPSILON), 1.5, "output[1, 0] is 3.375, not 3 ± 0.25")
    assert found.ok is False


def test_ulps_are_the_largest_error_in_units_of_the_dtype():
    values = [0.0, 1.0, 4.0]
    double = exactly(values, [1e-3] * 3)
    assert double.judge([0.0, 1 + 3 * EPSILON, 4 + 8 * EPSILON]).ulps == 3
    single = exactly(values, [1e-3] * 3, "float32")
    assert single.judge([0.0, 1 + 3 * 2.0**-23, 4 + 8 * 2.0**-23]).ulps == 3
    assert single.judge([2.0**-149, 1.0, 4.0]).ulps == 1  # near zero, the unit is that of the smallest normal number


def test_exact_values_are_not_rounded_to_double_precision():
    target = exactly([mp.mpf(1) + mp.mpf(2) ** -60], [EPSILON])
    assert target.judge([1 + EPSILON]).ulps == 1 - 2.0**-8
    assert target.judge([1.0]).ulps == 2.0**-8


def test_with_a_bound_of_zero_only_the_exact_value_passes():
    """The division of zero by zero causes no warning."""
    target = exactly([0.0, 1.0], [0.0, 0.0])
    assert target.judge([0.0, 1.0]) == Evidence(True, 0.0, 0.0, "")
    off = target.judge([0.0, 1 + EPSILON])
    assert off == Evidence(False, 1.0, INF, "output[1] is 1, not 1 ± 0")
    assert target.judge([1e-300, 1.0]).share == INF
    # An error of exactly 1 is rejected, too.
    assert target.judge([1.0, 1.0]).reason == "output[0] is 1, not 0 ± 0"


def test_a_result_of_a_type_that_cannot_be_compared_is_named():
    found = exactly([1.0], [0.5]).judge(OtherObject("memmap"))
    assert found == Evidence(False, INF, INF, "output is a memmap, not a plain array or number")


def test_nan_is_the_worst_error():
    target = exactly([1.0, 2.0, 3.0], [0.5] * 3)
    found = target.judge([9.0, np.nan, 3.0])
    assert (found.ok, found.reason) == (False, "output[1] is nan, not 2 ± 0.5")
    # Infinity is as bad as NaN; the reason names the first of both.
    assert target.judge([1.0, INF, np.nan]).reason == "output[1] is inf, not 2 ± 0.5"


def test_a_result_of_another_shape_is_rejected():
    target = exactly([1.0, 2.0], [0.5, 0.5])
    found = target.judge([[1.0, 2.0]])
    assert found == Evidence(False, INF, INF, "output has shape (1, 2), not (2,)")
    assert found.ok is False


def test_numbers_of_any_kind_are_judged():
    target = exactly([1.0, 2.0], [0.0, 0.0])
    for same in ([Fraction(1), Fraction(2)], (1, 2), np.array([1, 2], np.int8), np.array([1, 2], np.float16)):
        assert target.judge(same).ok


def test_the_reason_for_a_scalar_has_no_index():
    assert exactly(1.0, 0.5, what="loss").judge(2.0).reason == "loss is 2, not 1 ± 0.5"


def test_a_bounded_target_has_no_ulps_and_adds_its_own_error():
    reference, bounded = (Bounded(np.array([1.0]), np.array([error])) for error in (0.25, 0.5))
    target = bounded_target("derivative", "float64", reference, bounded)
    assert target.judge([1.75]) == Evidence(True, 0.0, 1.0, "")
    assert target.judge([2.5]).reason == "derivative[0] is 2.5, not 1 ± 0.75"


NETWORK = Network((2, 3, 1))
NAMES = [
    *(f"W[{i}, {j}] in layer 1" for i in range(2) for j in range(3)),
    *(f"b[{j}] in layer 1" for j in range(3)),
    *(f"W[{i}, 0] in layer 2" for i in range(3)),
    "b[0] in layer 2",
]


@pytest.mark.parametrize("place", range(len(NAMES)), ids=NAMES)
def test_a_wrong_parameter_is_named(place):
    values = np.zeros(13)
    values[place] = 1
    all_entries = replace(exactly([0.0] * 13, [0.5] * 13, what="derivative"), network=NETWORK)
    assert all_entries.judge(values).reason == f"derivative of {NAMES[place]} is 1, not 0 ± 0.5"
    two_entries = replace(exactly([0.0] * 2, [0.5] * 2, what="derivative"), network=NETWORK, entries=(99, place))
    assert two_entries.judge([0.0, 1.0]).reason == f"derivative of {NAMES[place]} is 1, not 0 ± 0.5"


def test_an_entry_beyond_the_parameters_raises_index_error():
    target = replace(exactly([0.0], [0.5]), network=NETWORK, entries=(15,))
    with pytest.raises(IndexError, match=r"^2$"):  # the index relative to the last parameter
        target.judge([1.0])


def test_combined_evidence_is_the_first_failure_or_the_worst_figures():
    good = [Evidence(True, 1.0, 0.5, ""), Evidence(True, 3.0, 0.25, "")]
    bad = [Evidence(False, 9.0, 2.0, "one"), Evidence(False, 8.0, 3.0, "other")]
    assert combined(iter(good)) == Evidence(True, 3.0, 0.5, "")
    assert combined([good[0], *bad]) == bad[0]


def test_a_flat_vector_is_ordered_by_layer_and_in_double_precision():
    pairs = [(np.array([[1, 2], [3, 4]], np.float32), np.array([5, 6], np.float32)), ([[7], [8]], [9])]
    assert_array_equal(flat(pairs), np.arange(1.0, 10.0), strict=True)
    assert_array_equal(flat(pairs[:1]), np.arange(1.0, 7.0), strict=True)  # from float32 arrays only
