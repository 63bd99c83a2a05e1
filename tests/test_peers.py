"""Peers: their supported operations are equal to the exact result, and unsupported ones are refused with a reason."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import impls
from bench import selection, suite, timing_proof
from bench.arms import arms_of_case
from bench.cases import DTYPES, Case
from bench.cli.main import main
from bench.commands import tutorials as tutorials_command
from bench.proof import verify
from bench.records import files, schema, tutorial_schema
from bench.tutorials import feedforward, registry
from impls import Backend, Network, UnsupportedOperation, numpy_plain
from pairbench import threads
from tests.helpers import ONE_PROCESS, TINY, python, set_quick_effort

PEERS = [name for name, origin in impls.origins().items() if origin == "peer"]

SIGMOID = Network((3, 3, 1))
FEW = (
    Network((4, 6, 2), "tanh", "sigmoid", "binary_cross_entropy"),
    Network((1, 5, 2), "relu", "identity", "mean_squared_error"),
)
"""Few networks, because two of the peers take long to compile."""


def loaded(name: str) -> Backend:
    try:
        return impls.load(name)
    except impls.BackendNotInstalled as error:
        pytest.skip(f"{name} is not tested: {error}")


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> Backend:
    return loaded(request.param)


@pytest.fixture
def quick(empty_folder, monkeypatch, forked_workers):
    set_quick_effort(monkeypatch, TINY)


class Forward(numpy_plain.Model):
    """A backend that supports the forward pass only."""

    @classmethod
    def lacks(cls, network):
        return dict.fromkeys(("loss", "gradient", "train"), "it was not asked to")


FORWARD_ONLY = Backend("forward_only", "third party", Forward)


def test_the_peers_are_found_whether_or_not_they_are_installed():
    assert set(PEERS) == {
        "dask_data_parallel",
        "sklearn_mlp",
        "torch_eager",
        "torch_compiled",
        "jax_jit",
        "onnx_runtime",
    }


@pytest.mark.slow
def test_a_peer_passes_the_checks_of_its_supported_operations(peer, monkeypatch):
    monkeypatch.setattr(verify, "NETWORKS", FEW)
    monkeypatch.setattr(verify, "_NETWORKS", FEW)
    rows = list(verify.verify_backend(peer))
    assert len(rows) == verify.count_checks(peer)
    failed = [row for row in rows if not row.evidence.ok]
    assert [f"{row.network} {row.dtype} {row.operation}: {row.evidence.reason}" for row in failed] == []
    assert {row.dtype for row in rows} == {"float64", "float32"}
    assert {row.operation for row in rows} >= {"forward", "contract"}


@pytest.mark.slow
def test_training_of_a_peer_matches_the_core(peer):
    network = Network((3, 4, 2), "tanh", "identity", "half_squared_error")
    if peer.lacks(network):
        pytest.skip(f"{peer.name} does not train")
    X, Y = np.linspace(-1, 1, 21).reshape(7, 3), np.linspace(-1, 1, 14).reshape(7, 2)
    models = [backend.build(network, network.random_parameters()) for backend in (peer, impls.load("numpy_plain"))]
    how = {"epochs": 37, "learning_rate": 0.1, "bias_learning_rate": 0.02, "batches": 3}
    losses = [model.train(X, Y, **how) for model in models]
    np.testing.assert_allclose(*losses, rtol=1e-12)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        np.testing.assert_allclose(one[0], other[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("operation", ["loss", "gradient", "train"])
@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (lambda: FORWARD_ONLY, "test_peers", "it was not asked to"),
        (lambda: loaded("onnx_runtime"), "onnx_runtime", "ONNX Runtime runs networks and does not train them"),
    ],
    ids=["forward_only", "onnx_runtime"],
)
def test_an_unsupported_operation_is_refused_in_one_line(operation, make, name, reason):
    model = make().build(SIGMOID, SIGMOID.random_parameters())
    X, Y = np.zeros((2, 3)), np.zeros((2, 1))
    how = {"epochs": 1, "learning_rate": 0.1} if operation == "train" else {}
    text = f"^{name} does not support {operation} for this network: {reason}$"
    with pytest.raises(UnsupportedOperation, match=text):
        getattr(model, operation)(X, Y, **how)
    with pytest.raises(NotImplementedError, match=text):  # UnsupportedOperation is a NotImplementedError
        getattr(model, operation)(X, Y, **how)


THREADS = {
    "torch_eager": "import torch; print(torch.get_num_threads())",
    "onnx_runtime": "print(model._session.get_session_options().intra_op_num_threads)",
    # XLA does not report its threads, but the operating system knows their names.
    "jax_jit": """
from pathlib import Path
names = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
several = sys.modules["impls.peers.jax_jit"].OPTIONS["xla_cpu_multi_thread_eigen"]
print(names.count("tf_XLAEigen") if several else 1)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", THREADS)
def test_a_peer_uses_the_number_of_threads_of_the_environment(name, count):
    loaded(name)
    build = (
        "import sys, numpy, impls; network = impls.Network((512, 512))\n"
        f"model = impls.load({name!r}).build(network, network.random_parameters())\n"
        "model.forward(numpy.ones((512, 512)))\n"
    )
    done = python("-c", build + THREADS[name], env=threads.thread_environment(count=count), check=True)
    assert int(done.stdout) == count


@pytest.mark.parametrize("operation", ["gradient", "train"])
def test_unsupported_operations_of_scikit_learn_depend_on_the_network(operation):
    backend = impls.load("sklearn_mlp")
    assert operation in backend.lacks(SIGMOID)
    assert operation not in backend.lacks(Network((3, 3, 1), output="identity"))
    assert "clips" in backend.lacks(FEW[0])[operation]


@pytest.mark.slow
def test_the_proof_leaves_out_unsupported_operations_only():
    rows = list(verify.verify_backend(FORWARD_ONLY))
    assert len(rows) == verify.count_checks(FORWARD_ONLY)
    assert {row.operation for row in rows} == {"forward", "contract"}
    assert all(row.evidence.ok for row in rows)
    assert {*verify.unsupported_operations([FORWARD_ONLY])} == {
        ("forward_only", operation, "it was not asked to") for operation in ("loss", "gradient", "train")
    }


def test_arms_in_both_dtypes():
    case = Case(SIGMOID, "forward", 1)
    group = arms_of_case(case, impls.load("python_loops"), [impls.load("numpy_plain")], DTYPES)
    assert [(arm.name, arm.case.dtype) for arm in group] == [
        ("python_loops", "float64"),
        ("A/A", "float64"),
        ("numpy_plain", "float64"),
        ("numpy_plain float32", "float32"),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_run_shows_a_dash_and_says_why_once(capsys, monkeypatch):
    monkeypatch.setattr(
        selection, "select_backends", lambda *_: selection.Selection([impls.load("sklearn_mlp")], {}, {})
    )
    assert main(["run", "--quick", "--peers", "--network", "3-3-1", "--json", "run.json"]) == 0
    out, _ = capsys.readouterr()
    assert max(map(len, out.splitlines())) <= 80
    for name in ("sklearn_mlp", "sklearn_mlp float32"):
        assert len(re.findall(rf"^{name}  +[\d.]+ [µm]s +[\d.]+ \[", out, re.MULTILINE)) == 2
        assert len(re.findall(rf"^{name}  +- +- +- +-$", out, re.MULTILINE)) == 2
    assert (
        " ".join(out.split()).count("sklearn_mlp does not support gradient, train, shown as a dash: scikit-learn") == 1
    )
    rows = files.read(Path("run.json"), schema.Run).rows
    unsupported = [row for row in rows if row.backend == "sklearn_mlp" and row.operation != "forward"]
    assert {(row.seconds, row.ok) for row in unsupported} == {(None, True)}
    assert all("identity outputs" in row.reason for row in unsupported)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_compare_with_an_unsupported_operation(capsys):
    for pair in (("sklearn_mlp", "numpy_plain"), ("numpy_plain", "sklearn_mlp")):
        assert main(["compare", *pair, "--quick", "--network", "3-3-1", "--operation", "train"]) == 0
        assert "sklearn_mlp does not support train, shown as a dash" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_verify_shows_a_dash_and_says_why(capsys, monkeypatch):
    monkeypatch.setattr(suite, "MUTANTS", ())
    monkeypatch.setattr(timing_proof, "TIMING_MUTANTS", {})
    assert main(["verify", "sklearn_mlp"]) == 0
    out, _ = capsys.readouterr()
    assert re.search(r"^3-3-1 sigmoid/sigmoid +[\d.]+ +[\d.]+ % +- +- +[\d.]+ % +-$", out, re.MULTILINE)
    assert " ".join(out.split()).count("clips probabilities") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_tutorials_leave_out_figures_of_unsupported_operations(capsys, monkeypatch):
    monkeypatch.setattr(tutorials_command, "QUICK_EFFORT", ONE_PROCESS)
    # The classifier of digits from one seed instead of eleven: the figures of the core backends are tested elsewhere.
    *parts, digits = feedforward.TUTORIAL.parts
    digits = replace(digits, seeds=digits.few, remark=None)
    shorter = replace(feedforward.TUTORIAL, parts=[*parts, digits])
    monkeypatch.setattr(registry, "select_tutorials", lambda *_: [shorter])
    arguments = ["tutorials", "feedforward", "--backend", "sklearn_mlp", "--json", "all.json"]
    assert main(arguments) == 0
    rows = files.read(Path("all.json"), tutorial_schema.Tutorials).rows
    assert {row.part for row in rows if row.backend == "sklearn_mlp"}
    assert not [row for row in rows if row.backend == "sklearn_mlp" and row.kind == "agreement"]
    assert "left out: sklearn_mlp does not support train for this network" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("backend", "library", "extra"),
    [
        ("torch_eager", "torch", "peers"),
        ("torch_compiled", "torch", "peers"),
        ("jax_jit", "jax", "peers"),
        ("onnx_runtime", "onnxruntime", "peers"),
        ("dask_data_parallel", "dask", "cluster"),
    ],
)
def test_a_peer_without_its_library_names_the_extra(backend, library, extra):
    code = f"import sys; sys.modules[{library!r}] = None; import impls; impls.load({backend!r})"
    done = python("-c", code)
    assert done.stderr.splitlines()[-1] == (
        f"impls._registry.BackendNotInstalled: backend {backend} needs {library}, which is not installed: "
        f"pip install -c constraints.txt -e '.[{extra}]'"
    )
