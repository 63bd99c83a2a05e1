import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import impls
from bench.cases import OPERATIONS, Case, select_cases
from bench.proof.problems import draw_problem
from bench.proof.targets import flat
from bench.workload import LEARNING_RATE, ModelWorkload
from impls import Network

SMALL = Network((3, 3, 1))


def kinds(cases):
    return {(str(case.network), case.operation, case.batch) for case in cases}


def test_default_cases():
    assert kinds(select_cases()) == {
        ("3-3-1", "forward", 1),
        ("3-3-3-1", "forward", 1),
        ("100-100-50-10", "forward", 1),
        *product(("3-3-1", "100-100-50-10"), ("forward", "gradient", "train"), [64]),
    }
    assert {case.dtype for case in select_cases()} == {"float64"}


def test_another_network_gets_every_operation():
    assert kinds(select_cases(["7-2"])) == {
        ("7-2", "forward", 1),
        ("7-2", "forward", 64),
        ("7-2", "gradient", 64),
        ("7-2", "train", 64),
    }


def test_an_operation_outside_the_default_cases_can_be_selected():
    assert kinds(select_cases(["3-3-3-1"])) == {("3-3-3-1", "forward", 1)}
    assert kinds(select_cases(["3-3-3-1"], ["train"])) == {("3-3-3-1", "train", 64)}


def test_batch_sizes_replace_the_default_ones():
    assert kinds(select_cases(["3-3-3-1"], batches=[1024, 7])) == {
        ("3-3-3-1", "forward", 1024),
        ("3-3-3-1", "forward", 7),
    }
    assert kinds(select_cases(["3-3-1"], batches=[1])) == {("3-3-1", operation, 1) for operation in OPERATIONS}
    with pytest.raises(ValueError, match="a batch must have at least 1 sample, not 0"):
        select_cases(batches=[0])


def test_a_network_named_twice_counts_once():
    assert select_cases(["3-3-1", "3-3-1"]) == select_cases(["3-3-1"])


@given(st.sets(st.sampled_from(["forward", "gradient", "train"]), min_size=1), st.sampled_from(["float64", "float32"]))
def test_only_requested_operations_and_dtypes_are_selected(operations, dtype):
    cases = select_cases((), sorted(operations), dtype)
    assert {case.operation for case in cases} == operations
    assert {case.dtype for case in cases} == {dtype}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((["3"],), "3-3-1"),
        ((["3-x-1"],), "3-3-1"),
        (((), ["backward"]), "forward, gradient, train"),
        (((), (), "float16"), "float64, float32"),
    ],
)
def test_the_error_for_a_wrong_name_lists_the_valid_ones(arguments, text):
    with pytest.raises(ValueError, match=text):
        select_cases(*arguments)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_forward_is_timed_without_wrapper_or_conversion(dtype):
    for batch, shape in ((1, (3,)), (64, (64, 3))):
        case = Case(SMALL, "forward", batch, dtype)
        problem = pickle.loads(pickle.dumps(draw_problem(SMALL, batch, dtype)))
        model = impls.load("numpy_plain").build(SMALL, problem.parameters, dtype)
        call = ModelWorkload.of("", case, problem).timed_call(model)
        assert call.function == model.forward
        for (x,) in call.draw(0, 5):
            assert x.shape == shape
            assert x.dtype is np.dtype(dtype)
            assert x.flags.c_contiguous
            assert x.flags.owndata


def test_gradient_and_train_cases_call_the_model():
    problem = draw_problem(SMALL, 64)
    build = impls.load("numpy_plain").build
    workload = ModelWorkload.of("", Case(SMALL, "gradient", 64), problem)
    call = workload.timed_call(build(SMALL, problem.parameters))
    ((X, Y),) = call.draw(3, 1)
    loss, gradient = call.function(X, Y)
    expected = build(SMALL, problem.parameters).gradient(X, Y, reduction="sum")
    assert loss == expected[0]
    assert_array_equal(gradient[0][0], expected[1][0][0], strict=True)

    model = build(SMALL, problem.parameters)
    call = ModelWorkload.of("", Case(SMALL, "train", 64), problem).timed_call(model)
    assert call.draw(3, 1)[0][1].tolist() == Y.tolist()
    losses = call.function(X, Y)
    assert losses.tolist() == [loss / 64]
    (W, _), (dW, _) = problem.parameters[0], gradient[0]
    np.testing.assert_allclose(model.parameters()[0][0], W - LEARNING_RATE / 64 * dW, rtol=1e-14)


@pytest.mark.parametrize("operation", ["forward", "gradient", "train"])
@pytest.mark.parametrize("batch", [1, 5])
def test_every_call_has_new_inputs_in_which_nearly_all_elements_have_moved(operation, batch):
    problem = draw_problem(SMALL, batch)
    workload = ModelWorkload.of("", Case(SMALL, operation, batch), problem)
    drawn = workload.draw(7, 40)
    base = problem.X[0] if (operation, batch) == ("forward", 1) else problem.X
    assert len({arguments[0].tobytes() for arguments in drawn}) == 40
    assert len({id(array) for arguments in drawn for array in arguments}) == 40 * len(drawn[0])
    n = base.shape[-1]
    for X in (arguments[0] for arguments in drawn):
        new = ~np.isin(X, base)
        assert (new.sum(axis=-1) == 1).all()
        shift = next(shift for shift in range(base.size) if np.array_equal(np.roll(base, -shift)[~new], X[~new]))
        assert shift % n != 0
    places = {int(place) for arguments in drawn for place in np.flatnonzero(~np.isin(arguments[0], base))}
    assert len(places) > 0.6 * min(base.size, 40)
    if operation != "forward":
        rows = [problem.Y[np.arange(batch) - shift] for shift in range(batch)]
        assert {arguments[1].tobytes() for arguments in drawn} == {row.tobytes() for row in rows}
    assert all(map(np.array_equal, drawn[3], workload.draw(7, 40)[3]))
    assert not any(np.array_equal(arguments[0], workload.draw(8, 1)[0][0]) for arguments in drawn)


def test_the_name_of_a_case_has_all_fields():
    assert str(Case(SMALL, "forward", 1)) == "forward 3-3-1, 1 sample, float64"
    assert str(Case(SMALL, "train", 64, "float32")) == "train 3-3-1, batch 64, float32"
    assert str(Case(SMALL, "train", 64, threads=2)) == "train 3-3-1, batch 64, float64, 2 threads"
    text = "train 3-3-1, batch 64, updates by batch 8, 5 epochs, float64"
    assert str(Case(SMALL, "train", 64, epochs=5, batches=8)) == text


def test_the_steps_of_an_epoch_are_all_samples_in_order():
    assert Case(SMALL, "train", 5).steps == [slice(0, 5)]
    assert Case(SMALL, "train", 5, batches=2).steps == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert Case(SMALL, "train", 4, batches=2).steps == [slice(0, 2), slice(2, 4)]


def test_a_training_case_runs_its_epochs_and_batches():
    problem = draw_problem(SMALL, 5)
    case = Case(SMALL, "train", 5, epochs=3, batches=2)
    timed, by_hand = (impls.load("numpy_plain").build(SMALL, problem.parameters) for _ in range(2))
    call = ModelWorkload.of("", case, problem).timed_call(timed)
    ((X, Y),) = call.draw(0, 1)
    losses = call.function(X, Y)
    expected = [
        [by_hand.train(X[rows], Y[rows], epochs=1, learning_rate=LEARNING_RATE)[0] for rows in steps]
        for steps in [[slice(0, 2), slice(2, 4), slice(4, 5)]] * 3
    ]
    np.testing.assert_allclose(losses, [(2 * a + 2 * b + c) / 5 for a, b, c in expected], rtol=1e-14)
    # Two sums in another order differ by a rounding or two of values near 1; some biases are smaller than that.
    np.testing.assert_allclose(flat(timed.parameters()), flat(by_hand.parameters()), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize(("compiles", "calls"), [(True, 1), (False, 0)])
def test_the_first_call_of_a_backend_that_compiles_is_made_before_the_call_is_timed(third_party, compiles, calls):
    backend = third_party(
        "counted",
        f"""
    compiles = {compiles}
    calls = 0

    def _gradient(self, X, Y):
        type(self).calls += 1
        return super()._gradient(X, Y)
""",
    )
    ModelWorkload.of("counted", Case(SMALL, "gradient", 64), draw_problem(SMALL, 64)).build()
    assert backend.model.calls == calls


def test_threads_are_part_of_a_case():
    cases = select_cases(threads=2)
    assert {case.threads for case in cases} == {2}
    assert {case.fields()["threads"] for case in cases} == {2}
    assert set(cases).isdisjoint(select_cases())


def test_a_title_names_the_functions_that_are_not_the_usual_ones():
    assert Case(Network((3, 1), output="relu"), "forward", 1).title == "forward 3-1 sigmoid/relu, 1 sample"
    assert Case(Network((3, 1), loss="mean_squared_error"), "forward", 1).title == (
        "forward 3-1 mean_squared_error, 1 sample"
    )
    network = Network((3, 4, 2), "tanh", "softmax", "categorical_cross_entropy")
    assert str(Case(network, "train", 8)) == "train 3-4-2 tanh/softmax categorical_cross_entropy, batch 8, float64"


def test_the_functions_are_those_of_all_networks():
    functions = {"hidden": "relu", "output": "identity", "loss": "mean_squared_error"}
    for case in select_cases(functions=functions):
        assert {key: getattr(case.network, key) for key in functions} == functions
    with pytest.raises(ValueError, match="loss binary_cross_entropy goes with output sigmoid, not with relu"):
        select_cases(functions={"output": "relu", "loss": "binary_cross_entropy"})
