"""The backend dask_data_parallel: any partitioning is within the bound, on real workers and without a cluster."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

import impls
from bench.proof import contract_tests, expectation, problems, repeated, verify
from bench.proof.bounds import Analysis, exact
from bench.proof.targets import flat
from bench.scale_out import data
from impls import Network, numba_simd
from tests.helpers import python

pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")

from distributed import Client, LocalCluster  # noqa: E402

from impls.peers import dask_data_parallel  # noqa: E402
from tests.clusters import unchanged_environment  # noqa: E402

BACKEND = impls.load("dask_data_parallel")
NETWORK = Network((4, 6, 2), "tanh", "sigmoid", "binary_cross_entropy")
ROWS = 23


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes; each test that uses them makes a client of its own."""
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": "127.0.0.1:0"}
    with unchanged_environment(), LocalCluster(**settings) as local:
        yield local


@pytest.fixture
def client(cluster):
    with Client(cluster) as connected:
        yield connected


@pytest.fixture
def two_rows(monkeypatch):
    """Partitions of two rows, so that small batches have several."""
    monkeypatch.setattr(dask_data_parallel, "PARTITION_ROWS", 2)


def problem(dtype="float64", batch=ROWS):
    return problems.draw_problem(NETWORK, batch, dtype)


def build(of, backend=BACKEND):
    return backend.build(of.network, of.parameters, of.dtype)


def results(X, Y, of):
    """Everything that a model computes, as bytes."""
    model = build(of)
    loss, gradient = model.gradient(X, Y)
    found = [model.forward(X), model.loss(X, Y), loss, flat(gradient)]
    found += [model.train(X, Y, epochs=2, learning_rate=0.1), flat(model.parameters())]
    return [np.asarray(one).tobytes() for one in found]


@pytest.mark.slow
@pytest.mark.usefixtures("two_rows")
def test_the_proof_accepts_partitions_of_two_rows(monkeypatch):
    monkeypatch.setattr(verify, "_NETWORKS", (NETWORK,))
    monkeypatch.setattr(contract_tests, "BATCH_SIZES", (1, 2, 9))
    rows = list(verify.verify_backend(BACKEND))
    assert [f"{row.dtype} {row.operation}: {row.evidence.reason}" for row in rows if not row.evidence.ok] == []
    assert {(row.dtype, row.operation) for row in rows} >= {("float64", "contract"), ("float32", "train")}


@pytest.mark.slow
@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_cluster_gives_the_same_bits_as_one_process(cluster, dtype):
    of = problem(dtype)
    X, Y = of.X.astype(dtype), of.Y.astype(dtype)
    blocks = da.from_array(X, chunks=(5, 2)), da.from_array(Y, chunks=(8, 1))
    alone = results(X, Y, of), results(*blocks, of)
    with Client(cluster):
        together = results(X, Y, of), results(*blocks, of)
    assert together == alone


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["gradient", "train"])
@pytest.mark.usefixtures("two_rows", "client")
def test_results_of_workers_are_within_the_bound(operation):
    of = problem()
    evidence = expectation.expect_result(of, operation).check(build(of))
    assert evidence.ok, evidence.reason


WRONG = {
    "the last partition is lost": lambda rows: rows[:-1].sum(axis=0),
    "a partition counts twice": lambda rows: rows.sum(axis=0) + rows[0],
    "the sums have half precision": lambda rows: rows.astype("f2").sum(axis=0).astype("f8"),
}


@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_tree_is_rejected(monkeypatch, fault):
    def reduction(rows, *arguments, **options):
        return da.from_array(WRONG[fault](rows.compute(scheduler="synchronous")))

    monkeypatch.setattr(dask_data_parallel.da, "reduction", reduction)
    of = problem()
    evidence = expectation.expect_result(of, "gradient").check(build(of))
    assert not evidence.ok
    assert evidence.reason.startswith(("loss is", "gradient of"))


@pytest.mark.usefixtures("two_rows")
def test_parameters_of_an_earlier_epoch_are_rejected(monkeypatch):
    first = {}

    class Stale(type(dask_data_parallel._kernel_models)):
        def model_of(self, network, dtype, parameters):
            return first.setdefault("model", numba_simd.Model(network, parameters, dtype))

    monkeypatch.setattr(dask_data_parallel, "_kernel_models", Stale())
    of = problem()
    evidence = expectation.expect_result(of, "train").check(build(of))
    assert not evidence.ok
    assert evidence.reason.startswith(("loss of epoch", "new value"))


@pytest.mark.parametrize("blocks", [(23,), (1,) * 23, (1, 20, 2), (11, 0, 12), (9, 1, 1, 12)], ids=str)
def test_any_partitioning_of_the_samples_is_within_the_bound(blocks):
    of = problem()
    X, Y = da.from_array(of.X, chunks=(blocks, -1)), da.from_array(of.Y, chunks=(blocks, -1))
    expected = expectation.expect_result(of, "gradient")
    loss, gradient = build(of).gradient(X, Y, reduction="sum")
    evidence = [target.judge(value) for target, value in zip(expected.targets[2:], (loss, flat(gradient)), strict=True)]
    assert [one.reason for one in evidence if not one.ok] == []


def trees(terms):
    """The rounded sums of float32 terms in every order of additions that keeps the terms in their places."""
    if len(terms) == 1:
        return set(terms)
    splits = range(1, len(terms))
    return {a + b for at in splits for a, b in itertools.product(trees(terms[:at]), trees(terms[at:]))}


def test_the_bound_of_a_sum_holds_for_every_tree():
    analysis, rng = Analysis(Network((3, 3, 1)), "float32"), np.random.default_rng(1)
    largest = 0.0
    for _ in range(20):
        terms = (rng.normal(size=7) * 10.0 ** rng.integers(-3, 3, size=7)).astype(np.float32)
        bound = float(analysis._sum(exact(terms), 0).error)
        true = sum(map(Fraction, map(float, terms)))
        errors = [float(abs(Fraction(float(total)) - true)) for total in trees(tuple(terms))]
        largest = max(largest, max(errors) / float(analysis.u * np.abs(terms).sum()))
        assert max(errors) <= bound
    assert largest > 0.5  # a bound for a single rounding, half as large, would fail


@pytest.mark.usefixtures("two_rows")
def test_small_batches_and_mini_batches_need_no_dask(monkeypatch):
    of = problem(batch=2)
    wide = problem()
    reference = build(wide, impls.load("numba_simd"))
    monkeypatch.setattr(dask_data_parallel, "_computed", None)  # calling it would raise TypeError
    build(of).gradient(of.X, of.Y)
    build(of).loss(of.X, of.Y)
    model = build(wide)
    assert model.forward(wide.X[0]).tobytes() == reference.forward(wide.X[0]).tobytes()
    losses = [one.train(wide.X, wide.Y, epochs=2, learning_rate=0.1, batches=2) for one in (model, reference)]
    assert losses[0].tobytes() == losses[1].tobytes()


def test_invalid_dask_arrays_are_refused():
    of = problem()
    model = build(of)
    X, Y = da.from_array(of.X, chunks=(5, -1)), da.from_array(of.Y, chunks=(5, -1))
    before = flat(model.parameters())
    spoilt = of.X.copy()
    spoilt[12, 3] = np.nan
    beyond = of.Y.copy()
    beyond[22, 1] = 1.5
    for error, text, arguments in (
        (TypeError, "X must hold real numbers, got dtype complex128", (X.astype(complex), Y)),
        (ValueError, r"X must have shape \(batch, 4\), got \(23, 3\)", (X[:, :3], Y)),
        (ValueError, r"Y must have shape \(batch, 2\), got \(23,\)", (X, Y[:, 0])),
        (ValueError, "X must have a known number of rows", (X[X[:, 0] > 0], Y)),
        (ValueError, "X must hold at least one sample", (X[:0], Y[:0])),
        (ValueError, "the same length, got 23 and 20", (X, Y[:20])),
        (ValueError, r"in rows 10 to 14: X must be finite in float64, got nan at \[2, 3\]", (X * 0 + spoilt, Y)),
        (ValueError, r"in rows 20 to 22: targets of binary_cross_entropy must lie in \[0, 1\]", (X, beyond)),
    ):
        with pytest.raises(error, match=text):
            model.train(*arguments, epochs=1, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 4\)"):
        model.forward(X[:, :2])
    assert flat(model.parameters()).tobytes() == before.tobytes()


@pytest.mark.slow
def test_a_wrong_number_of_rows_in_the_environment_is_refused_in_one_line():
    code = "import impls; impls.load('dask_data_parallel')"
    done = python("-c", code, env={"MLPBENCH_PARTITION_ROWS": "0", "PYTHONPATH": "."})
    assert done.stderr.splitlines()[-1] == (
        "impls._registry.BackendUnavailable: backend dask_data_parallel cannot run here: MLPBENCH_PARTITION_ROWS must "
        "be a whole number of 1 or more, got '0'"
    )


@pytest.mark.slow
def test_memory_holds_one_partition_at_a_time():
    """100 MB in 10 partitions; a program that keeps three of them at once would exceed the limit."""
    code = (
        "from bench.scale_out import data, methods\n"
        "methods.data_parallel(2000, 1000).epoch()\n"
        "before = methods.peak_memory()\n"
        "methods.data_parallel(170_000, 17_000).epoch()\n"
        "print(methods.peak_memory() - before)"
    )
    done = python("-c", code, check=True)
    assert int(done.stdout) < 3 * 17_000 * data.SAMPLE_BYTES


def test_the_exact_epoch_of_repeated_rows():
    rng = np.random.default_rng(0)
    X, Y, samples = rng.normal(size=(5, 4)), rng.uniform(size=(5, 2)), 17
    parameters = NETWORK.random_parameters(1)
    target = repeated.epoch_target(NETWORK, parameters, X, Y, samples, 0.5)
    places = np.arange(samples) % 5
    for count in (samples, samples - 1):
        model = impls.load("python_loops").build(NETWORK, parameters)
        losses = model.train(X[places[:count]], Y[places[:count]], epochs=1, learning_rate=0.5)
        assert target.judge(np.append(losses, flat(model.parameters()))).ok == (count == samples)
    steps = [slice(None)]
    losses, pairs = Analysis(NETWORK, "float64").train(
        [(exact(W), exact(b)) for W, b in parameters],
        exact(X[places]),
        exact(Y[places]),
        steps=steps,
        epochs=1,
        learning_rate=0.5,
        bias_learning_rate=0.5,
        mean=True,
    )
    assert target.judge(np.append(losses.value, flat([(W.value, b.value) for W, b in pairs]))).ok
