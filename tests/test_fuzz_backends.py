"""Random arguments of networks and backends: every backend gives the same answer, or the same error in one line.

`make fuzz` tries the same for a given time.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import impls
from bench.proof.targets import flat
from impls import Network
from tests import damage
from tests.conftest import CORE
from tests.helpers import assert_one_line

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Generating overly large repr")]


def assert_no_line_break(error):
    """The error of a backend is one line, in which the names of an array's fields may hold invisible characters."""
    assert "\n" not in str(error)


NETWORKS = {
    "sigmoid": Network((3, 4, 2)),
    "softmax": Network((3, 4, 2), "relu", "softmax", "categorical_cross_entropy"),
    "cross entropy": Network((3, 4, 2), "tanh", "sigmoid", "binary_cross_entropy"),
}
X, Y = damage.any_argument((3,), (4, 3)), damage.any_argument((4, 2))
TARGETS = st.just(np.array([[0.0, 1.0]] * 4))
CALLS = st.one_of(
    st.tuples(st.just("forward"), st.tuples(X), st.just({})),
    st.tuples(
        st.sampled_from(["loss", "gradient"]),
        st.tuples(X, Y | TARGETS),
        st.fixed_dictionaries({}, optional={"reduction": st.sampled_from(["mean", "sum"]) | damage.VALUES}),
    ),
    st.tuples(
        st.just("train"),
        st.tuples(X, Y | TARGETS),
        st.fixed_dictionaries(
            {"epochs": st.integers(1, 3) | damage.any_number(), "learning_rate": damage.any_number()},
            optional={
                "bias_learning_rate": damage.any_number(),
                "batches": damage.any_number() | damage.any_argument((2, 2)),
                "reduction": st.sampled_from(["mean", "sum"]) | damage.VALUES,
            },
        ),
    ),
)


def outcome(model, name, arguments, options):
    """The result of a call, or the type and the text of its error."""
    try:
        return flat_result(getattr(model, name)(*arguments, **options))
    except (TypeError, ValueError) as error:
        assert_no_line_break(error)
        return type(error), str(error)


def flat_result(result):
    return flat(result[1]) if type(result) is tuple else np.ravel(result)


SIZES = st.lists(st.integers(1, 4), min_size=2, max_size=3).map(tuple) | damage.VALUES | st.builds(damage.Hostile)
CHOICES = st.sampled_from(["sigmoid", "tanh", "relu", "softmax", "half_squared_error", "categorical_cross_entropy"])


@damage.tried
@given(SIZES, st.tuples(*[CHOICES | damage.VALUES] * 3))
def test_a_network_is_built_or_refused(sizes, functions):
    try:
        network = Network(sizes, *functions)
    except (TypeError, ValueError) as error:
        assert_one_line(str(error))
    else:
        assert len(network.random_parameters()) == len(network.layer_sizes) - 1


LAYERS = [
    damage.any_argument((4, 3), (3, 4)),
    damage.any_argument((4,)),
    damage.any_argument((2, 4)),
    damage.any_argument((2,)),
]
PARAMETERS = (
    st.tuples(*LAYERS).map(lambda parts: [parts[:2], parts[2:]])
    | damage.VALUES
    | st.lists(st.tuples(*LAYERS[:2]), max_size=3)
)


@damage.tried
@given(PARAMETERS, st.sampled_from(["float64", "float32"]) | damage.VALUES)
def test_every_backend_answers_random_parameters_alike(parameters, dtype):
    def build(name):
        try:
            return flat(impls.load(name).build(NETWORKS["sigmoid"], parameters, dtype=dtype).parameters())
        except (TypeError, ValueError) as error:
            assert_no_line_break(error)
            return type(error), str(error).replace(name, "it")

    expected = {}
    for name in CORE:
        built = build(name)
        np.testing.assert_equal(built, expected.setdefault(impls.load(name).dtypes, built))


def moderate(*values):
    """Whether no finite number in a nested argument is so large that sums of it lose their digits."""
    with np.errstate(all="ignore"):
        arrays = [np.asarray(value, float).ravel() for value in values if not isinstance(value, (str, type(None)))]
    return all(np.all(np.isinf(array) | np.isnan(array) | (np.abs(array) < 1e6)) for array in arrays)


@damage.tried
@given(
    st.sampled_from(list(NETWORKS)), st.sampled_from(["float64", "float32"]), st.lists(CALLS, min_size=1, max_size=3)
)
def test_every_backend_answers_random_calls_alike(network, dtype, calls):
    built = [
        impls.load(name).build(NETWORKS[network], NETWORKS[network].random_parameters(), dtype=dtype)
        for name in CORE
        if dtype in impls.load(name).dtypes
    ]
    reference, *others = built
    for name, arguments, options in calls:
        expected = outcome(reference, name, arguments, options)
        parameters = flat(reference.parameters())
        for model in others:
            found = outcome(model, name, arguments, options)
            if isinstance(expected, tuple):
                assert found == expected
            elif moderate(*arguments, *options.values()):
                tolerance = {"rtol": 1e-7, "atol": 1e-9} if dtype == "float64" else {"rtol": 1e-2, "atol": 1e-3}
                np.testing.assert_allclose(found, expected, **tolerance)
                np.testing.assert_allclose(flat(model.parameters()), parameters, **tolerance)
