"""Wrong input: every backend raises the same error with the same text, and the model does not change."""

import numpy as np
import pytest

from bench.proof.targets import flat
from impls import Network
from tests import damage

X = np.linspace(-1, 1, 12).reshape(4, 3)
Y = np.linspace(0.1, 0.9, 8).reshape(4, 2)


def network(loss="half_squared_error"):
    return Network((3, 4, 2), output="softmax" if loss.startswith("categorical") else "sigmoid", loss=loss)


def model_of(backend, loss="half_squared_error"):
    return backend.build(network(loss), network(loss).random_parameters())


def with_value(array, value):
    changed = array.copy()
    changed[1, 1] = value
    return changed


FORWARD = {
    "wide": (np.zeros(4), ValueError, r"x must have shape \(3,\) or \(batch, 3\), got \(4,\)"),
    "narrow batch": (np.zeros((5, 2)), ValueError, r"got \(5, 2\)"),
    "rank 0": (1.0, ValueError, r"got \(\)"),
    "rank 3": (np.zeros((1, 1, 3)), ValueError, r"got \(1, 1, 3\)"),
    "empty batch": (np.zeros((0, 3)), ValueError, "at least one sample, got an empty batch"),
    "empty list": ([], ValueError, r"got \(0,\)"),
    "complex": (np.zeros(3, complex), TypeError, "must hold real numbers, got dtype complex128"),
    "text": (["a", "b", "c"], TypeError, "must hold real numbers, got dtype <U1"),
    "None": ([1, None, 2], TypeError, "got dtype object"),
    "dates": (np.zeros(3, "M8[s]"), TypeError, r"got dtype datetime64\[s\]"),
    "huge integers": ([10**400, 1, 2], TypeError, "got dtype object"),
    "ragged": ([[1, 2, 3], [1, 2]], ValueError, "must be rectangular: its rows differ in length"),
    "a masked value": ([1.0, np.ma.masked, 1.0], TypeError, "x must not hold masked values; fill them first"),
    "a masked row": ([np.ma.masked_array([1.0, 2, 3], [0, 1, 0])], TypeError, "x must not hold masked values"),
    "a masked value in a row": (((1.0, 2, 3), (np.ma.masked, 1, 2)), TypeError, "x must not hold masked values"),
    "an object that raises": (damage.Hostile(), TypeError, "x cannot be made an array, got a value of type Hostile"),
    "masked": (np.ma.masked_array([1.0, 2, 3], [0, 1, 0]), TypeError, "must not be a masked array"),
}


@pytest.mark.parametrize("case", FORWARD)
def test_forward_refuses(backend, case):
    x, error, text = FORWARD[case]
    with pytest.raises(error, match=text):
        model_of(backend).forward(x)


SAMPLES = {
    "X of rank 1": (X[0], Y[0], ValueError, r"X must have shape \(batch, 3\), got \(3,\)"),
    "Y too wide": (X, np.zeros((4, 3)), ValueError, r"Y must have shape \(batch, 2\), got \(4, 3\)"),
    "other length": (X, Y[:3], ValueError, "must have the same length, got 4 and 3"),
    "empty": (X[:0], Y[:0], ValueError, "X must hold at least one sample"),
    "NaN": (with_value(X, np.nan), Y, ValueError, r"X must be finite in float64, got nan at \[1, 1\]"),
    "infinity": (X, with_value(Y, -np.inf), ValueError, r"Y must be finite in float64, got -inf at \[1, 1\]"),
    "complex": (X + 0j, Y, TypeError, "X must hold real numbers"),
    "text": (X, Y.astype(str), TypeError, "Y must hold real numbers"),
}
OPERATIONS = {
    "loss": lambda model, X, Y: model.loss(X, Y),
    "gradient": lambda model, X, Y: model.gradient(X, Y),
    "train": lambda model, X, Y: model.train(X, Y, epochs=1, learning_rate=0.1),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("case", SAMPLES)
def test_loss_gradient_and_train_refuse(backend, operation, case):
    X, Y, error, text = SAMPLES[case]
    model = model_of(backend)
    before = flat(model.parameters())
    with pytest.raises(error, match=text):
        OPERATIONS[operation](model, X, Y)
    np.testing.assert_array_equal(flat(model.parameters()), before)


@pytest.mark.parametrize(
    ("loss", "targets", "text"),
    [
        ("binary_cross_entropy", with_value(Y, 1.5), r"must lie in \[0, 1\], got 0.1\d* to 1.5"),
        ("binary_cross_entropy", with_value(Y, -0.5), r"must lie in \[0, 1\], got -0.5"),
        ("categorical_cross_entropy", Y, "must sum to 1 in every row .* divide each row by its sum"),
        ("categorical_cross_entropy", with_value(np.eye(2)[[0, 1, 0, 1]], 0.999), "got 0.999 in row 1"),
    ],
)
def test_targets_that_a_loss_does_not_accept_are_refused(backend, loss, targets, text):
    with pytest.raises(ValueError, match=text):
        model_of(backend, loss).loss(X, targets)


def test_targets_that_sum_to_one_within_rounding_are_accepted(backend):
    targets = np.random.default_rng(0).dirichlet(np.ones(2), size=4)
    assert model_of(backend, "categorical_cross_entropy").loss(X, targets) > 0


SETTINGS = {
    "no epochs": ({"epochs": 0}, ValueError, "epochs must be 1 or more, got 0"),
    "epochs without end": ({"epochs": 10**18}, ValueError, "epochs must be 1000000000 or less in one call, got 10000"),
    "epochs of 5000 digits": ({"epochs": 10**5000}, ValueError, "or less in one call, got a value of type int without"),
    "fractional epochs": ({"epochs": 1.0}, TypeError, "epochs must be an integer, got 1.0"),
    "negative rate": ({"learning_rate": -0.1}, ValueError, "learning_rate must be finite and not negative, got -0.1"),
    "infinite rate": ({"learning_rate": np.inf}, ValueError, "learning_rate must be finite"),
    "NaN rate": ({"learning_rate": np.nan}, ValueError, "learning_rate must be finite"),
    "text rate": ({"learning_rate": "0.1"}, TypeError, "learning_rate must be a real number"),
    "negative bias rate": ({"bias_learning_rate": -1}, ValueError, "bias_learning_rate must be finite"),
    "reduction": ({"reduction": "max"}, ValueError, "reduction must be one of mean, sum, got 'max'"),
    "batches that raise": ({"batches": damage.Hostile()}, TypeError, "batches cannot be made an array, got a value"),
    "batches of 0": ({"batches": 0}, ValueError, "batches must be 1 or more, got 0"),
    "batches of -1": ({"batches": -1}, ValueError, "batches must be 1 or more, got -1"),
    "batches too large": ({"batches": 5}, ValueError, "batches must be 4 or less"),
    "fractional batches": ({"batches": 2.5}, TypeError, "batches must be an integer"),
    "rows that are not there": ({"batches": [[0, 4]]}, ValueError, "must name rows 0 to 3, got 0 to 4"),
    "negative rows": ({"batches": [[0, -1]]}, ValueError, "must name rows 0 to 3, got -1 to 0"),
    "rows of rank 1": ({"batches": [0, 1]}, ValueError, r"must have shape \(steps, size\)"),
    "no rows": ({"batches": np.zeros((2, 0), int)}, ValueError, "at least one row each"),
    "fractional rows": ({"batches": [[0.0, 1.0]]}, TypeError, "must hold integers"),
    "truth values": ({"batches": [[True, False]]}, TypeError, "must hold integers"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_train_refuses(backend, case):
    settings, error, text = SETTINGS[case]
    model = model_of(backend)
    before = flat(model.parameters())
    with pytest.raises(error, match=text):
        model.train(X, Y, **{"epochs": 1, "learning_rate": 0.1, **settings})
    np.testing.assert_array_equal(flat(model.parameters()), before)


GOOD = network().random_parameters()
PARAMETERS = {
    "too few": (GOOD[:1], ValueError, r"needs 2 pairs \(W, b\), got 1"),
    "no pairs": ([1, 2], TypeError, r"a list of pairs \(W, b\)"),
    "transposed": ([(GOOD[0][0].T, GOOD[0][1]), GOOD[1]], ValueError, r"W of layer 1 must have shape \(3, 4\)"),
    "bias": ([GOOD[0], (GOOD[1][0], np.zeros((1, 2)))], ValueError, r"b of layer 2 must have shape \(2,\)"),
    "NaN": ([(GOOD[0][0] * np.nan, GOOD[0][1]), GOOD[1]], ValueError, "W of layer 1 must be finite"),
    "complex": ([GOOD[0], (GOOD[1][0] + 0j, GOOD[1][1])], TypeError, "W of layer 2 must hold real numbers"),
}


@pytest.mark.parametrize("case", PARAMETERS)
def test_build_refuses_parameters(backend, case):
    parameters, error, text = PARAMETERS[case]
    with pytest.raises(error, match=text):
        backend.build(network(), parameters)


@pytest.mark.parametrize("dtype", ["float16", "int64", "complex128", "nonsense", None, object()])
def test_build_refuses_a_dtype(backend, dtype):
    text = f"dtype of {backend.name} must be one of float64"
    with pytest.raises(ValueError, match=text):
        backend.build(network(), GOOD, dtype=dtype)


class WithoutRepr:
    def __repr__(self):
        raise ZeroDivisionError


def test_an_argument_whose_repr_raises_is_refused_like_any_other(backend):
    value, text = WithoutRepr(), "got a value of type WithoutRepr without a repr"
    model = model_of(backend)
    for name in ("epochs", "learning_rate", "bias_learning_rate", "batches", "reduction"):
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be .*{text}$"):
            model.train(X, Y, **{"epochs": 1, "learning_rate": 0.1, name: value})
    with pytest.raises(ValueError, match=f"^dtype of {backend.name} must be .*{text}$"):
        backend.build(network(), GOOD, dtype=value)
    with pytest.raises(TypeError, match=r"^x must hold real numbers, got dtype object$"):
        model.forward([value])


def test_build_refuses_text_for_a_network(backend):
    with pytest.raises(TypeError, match=r"network must be an impls\.Network, not str"):
        backend.build("3-4-2", GOOD)


def test_inputs_that_numpy_converts_are_accepted(backend):
    model = model_of(backend)
    expected = model.forward(np.array([1.0, 0.0, 2.0]))
    for x in ([1, 0, 2], (1, 0, 2), np.array([1, 0, 2], np.uint8), np.float32([1, 0, 2]), [True, False, 2]):
        np.testing.assert_array_equal(model.forward(x), expected)
    assert model.train(X.tolist(), Y.tolist(), epochs=np.int64(2), learning_rate=1, batches=np.int32(2)).shape == (2,)


def test_a_number_too_large_for_float32_is_infinite(backend):
    if "float32" not in backend.dtypes:
        pytest.skip(f"{backend.name} does not support float32")
    model = backend.build(network(), GOOD, "float32")
    assert np.isfinite(model.forward([1e300, 0, 0])).all()
    with pytest.raises(ValueError, match="X must be finite in float32, got -inf"):
        model.loss(X * 1e300, Y)
    with pytest.raises(ValueError, match="W of layer 1 must be finite in float32"):
        backend.build(network(), [(GOOD[0][0] * 1e300, GOOD[0][1]), GOOD[1]], "float32")
