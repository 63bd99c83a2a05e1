"""A backend that lacks an operation, an activation or a dtype: it says so, and everything else goes on."""

import numpy as np
import pytest

import impls
from bench import pytest_cases
from bench.cases import Case
from bench.cli.main import main
from bench.commands import run as run_command
from bench.proof import verify
from impls import Network, UnsupportedOperation
from tests.helpers import ONE_PROCESS

AHEAD = """
import impls

class Model(impls.Model):
    "The forward pass in float32, without tanh."

    dtypes = ("float32",)

    @classmethod
    def lacks(cls, network):
        reasons = dict.fromkeys(("loss", "gradient", "train"), "it only looks ahead")
        return reasons | (dict(forward="it has no tanh") if "tanh" in network.activations else dict())

    def _store(self, parameters):
        inner = impls.load("numpy_plain").build(self.network, parameters, self.dtype)
        self._fetch, self._forward_batch = inner.parameters, inner.forward
        self._forward_sample = lambda x, out: out.__setitem__(slice(None), inner.forward(x))

    def _fetch(self): ...
    def _forward_batch(self, X): ...
"""
PLAIN, TANH = Network((3, 3, 1)), Network((3, 3, 1), hidden="tanh")


@pytest.fixture
def ahead(third_party):
    third_party("ahead", module=AHEAD)
    return impls.load("ahead")


def test_a_forward_only_backend_need_not_define_what_it_lacks(ahead):
    model = ahead.build(PLAIN, PLAIN.random_parameters(), "float32")
    assert model.forward(np.ones(3)).dtype == np.float32
    calls = {
        "loss": lambda: model.loss([[1, 2, 3]], [[1]]),
        "gradient": lambda: model.gradient([[1, 2, 3]], [[1]]),
        "train": lambda: model.train([[1, 2, 3]], [[1]], epochs=1, learning_rate=0.1),
    }
    for operation, call in calls.items():
        with pytest.raises(
            UnsupportedOperation, match=f"ahead_module does not support {operation} .*: it only looks ahead$"
        ):
            call()


def test_without_the_forward_pass_of_a_network_nothing_is_supported(ahead):
    assert dict(ahead.lacks(TANH)) == {
        "forward": "it has no tanh",
        **dict.fromkeys(("loss", "gradient", "train"), "it only looks ahead"),
    }
    with pytest.raises(UnsupportedOperation, match=r"ahead_module does not support forward .*: it has no tanh$"):
        ahead.build(TANH, TANH.random_parameters(), "float32")


def test_a_method_that_is_neither_defined_nor_lacking_is_named(third_party):
    third_party("ahead", module=AHEAD.replace('"gradient", ', ""))
    with pytest.raises(TypeError, match="neither defines _gradient nor names 'gradient' in lacks"):
        impls.load("ahead").build(PLAIN, PLAIN.random_parameters(), "float32")


def test_the_proof_leaves_out_what_a_backend_lacks(ahead, monkeypatch):
    monkeypatch.setattr(verify, "_NETWORKS", (PLAIN, TANH))
    outcomes = [*verify.verify_backend(ahead)]
    assert [(outcome.network, outcome.operation) for outcome in outcomes] == [(PLAIN, "forward"), (PLAIN, "contract")]
    assert all(outcome.evidence.ok for outcome in outcomes), outcomes
    assert verify.count_checks(ahead) == 2


def test_a_backend_without_sigmoid_keeps_the_contract(third_party):
    third_party("ahead", module=AHEAD.replace("tanh", "sigmoid"))
    backend, network = impls.load("ahead"), Network((5, 5, 5), "relu", "relu")
    outcomes = [verify._check(backend, network, "float32", operation) for operation in ("forward", "contract")]
    assert all(evidence.ok for evidence in outcomes), outcomes


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (Case(PLAIN, "forward", 1), "ahead does not support float64, only float32"),
        (Case(PLAIN, "train", 64, "float32"), "ahead does not support train of 3-3-1: it only looks ahead"),
        (Case(TANH, "forward", 1, "float32"), "ahead does not support forward of 3-3-1: it has no tanh"),
    ],
)
def test_pytest_skips_by_name_what_a_backend_lacks(ahead, case, text):
    with pytest.raises(pytest.skip.Exception, match=f"^{text}$"):
        pytest_cases.skip_unsupported(ahead, case)


@pytest.mark.slow
def test_a_run_shows_a_dash_and_the_reason(ahead, empty_folder, monkeypatch, capsys):
    monkeypatch.setenv(
        "PYTHONPATH", f"{empty_folder.parent / 'packages'}:{run_command.__file__.rsplit('/bench/', 1)[0]}"
    )
    monkeypatch.setattr(run_command, "QUICK_EFFORT", ONE_PROCESS)
    few = ("run", "--quick", "--network", "3-3-1", "--batch", "4", "--backend", "ahead")
    assert main([*few, "--operation", "forward"]) == 0
    out = capsys.readouterr().out
    assert "ahead does not support forward, shown as a dash: it computes in float32 only" in out
    assert main([*few, "--operation", "forward", "--operation", "gradient", "--dtype", "float32"]) == 0
    out = capsys.readouterr().out
    assert "ahead does not support gradient, shown as a dash: it only looks ahead" in out
