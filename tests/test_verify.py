"""The proof: core backends pass, wrong models fail. The mutants are in test_mutants.py."""

import numpy as np
import pytest

from bench.cases import Case
from bench.proof import verify
from bench.proof.verify import LARGE, NETWORKS, OPERATIONS
from impls import Backend, Network
from impls._network import HIDDEN, OUTPUTS
from impls.numpy_plain import Model
from pairbench.error_text import describe_error


@pytest.mark.slow
def test_every_check_of_a_core_backend_passes(backend, monkeypatch):
    networks = (*NETWORKS, LARGE)
    if backend.name in ("numba_plain", "python_loops_ndarray"):  # they have the code of python_loops, but take longer
        networks = tuple(one for one in NETWORKS if len(one.layer_sizes) <= 4)
        if backend.name == "python_loops_ndarray":  # its results on wider networks are judged in test_properties.py
            networks = tuple(one for one in networks if max(one.layer_sizes) < 30)
        monkeypatch.setattr(verify, "_NETWORKS", networks)
    rows = list(verify.verify_backend(backend))
    assert len(rows) == verify.count_checks(backend)
    assert [
        f"{row.network} {row.dtype} {row.operation}: {row.evidence.reason}" for row in rows if not row.evidence.ok
    ] == []
    for row in rows:
        if row.operation in OPERATIONS:
            assert 0 < row.evidence.share <= 1
    assert {row.operation for row in rows} == {*OPERATIONS, "contract", "scikit-learn"}
    assert {row.network for row in rows} == {*networks}


def test_the_networks_cover_every_activation_and_loss():
    assert {network.hidden for network in NETWORKS if len(network.layer_sizes) > 2} == set(HIDDEN)
    assert {network.loss for network in NETWORKS} == set(OUTPUTS)
    assert {network.output for network in NETWORKS} == {name for names in OUTPUTS.values() for name in names}


def test_a_backend_that_raises_is_rejected_by_name_of_the_error():
    class Raising(Model):
        def _gradient(self, X, Y):
            raise RuntimeError("no\ngradient")

    row = verify.kill_mutant(Backend("raising", "third party", Raising))
    assert row.operation == "gradient"
    assert row.evidence.reason.startswith("RuntimeError: no gradient (test_verify.py, line ")


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("batch", [1, 5])
def test_a_case_accepts_a_right_model_and_rejects_one_wrong_parameter(operation, batch):
    case = Case(Network((3, 4, 2)), operation, batch)
    expected = verify.expect_case(case)
    problem = expected.problem
    right = Model(problem.network, problem.parameters, np.dtype("float64"))
    assert expected.check(right).ok
    for layer in range(2):
        for which in range(2):
            parameters = [[W.copy(), b.copy()] for W, b in problem.parameters]
            array = parameters[layer][which]
            array.flat[-1] += 1e-10
            wrong = Model(problem.network, parameters, np.dtype("float64"))
            assert not expected.check(wrong).ok, f"a parameter of layer {layer + 1} is off by 1e-10"


def test_the_example_of_the_first_tutorial(backend, example):
    network, parameters, x = example
    for dtype in backend.dtypes:
        model = backend.build(network, parameters, dtype)
        assert f"{model.forward(x)[0]:.7f}" == "0.8354557"
        assert str(float(model.forward(x)[0]))[:9] == "0.8354556"


class Unprintable(Exception):
    def __str__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("a\ud800\nb"), r"RuntimeError: a\ud800 b"),
        (Unprintable(), "Unprintable: (its message cannot be read)"),
    ],
)
def test_any_exception_of_a_backend_can_be_described(error, text):
    describe_error(error).encode()
    assert describe_error(error).startswith(text)
