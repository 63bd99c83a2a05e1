"""The roofline: operation counts against counts by hand, and lower bounds from invented peak rates."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.cases import Case
from bench.report import tables, terminal
from bench.roofline import operation_counts, probe_kernels, probes
from bench.roofline.lower_bound import MachineLimits, call_kind, lower_bound
from bench.roofline.operation_counts import OperationCounts, count_operations
from impls import Network
from tests.helpers import timing_row as row

SMALL = Network((3, 3, 1))
KINDS = ("forward, 1 sample", "forward, a batch", "gradient, a batch", "train, a batch")

# 3-3-1 has 12 weights, 4 biases, 3 hidden sigmoids and 1 at the output.
FORWARD = 64 * (12 + 2 * 4)
# 1 for the loss, 1 for output minus target, 2 for the derivative at the output, 12 for the gradient of the weights,
# 3 · 1 for the product that goes back, and 2 for each hidden derivative. The gradient of the 4 biases is 4 sums of 64.
BACKWARD = 64 * (1 + 1 + 2 + 12 + 3 + 3 * 2) + 63 * 4
XOR = Network((2, 3, 1), "tanh", "tanh", "mean_squared_error")


def once(operations, exponentials, read):
    """The counts of a call that reads its data once."""
    return OperationCounts(operations, exponentials, read, read)


BY_HAND = {
    Case(SMALL, "forward", 1): once(20, 4, 8 * (16 + 3)),
    Case(SMALL, "forward", 64): once(FORWARD, 64 * 4, 8 * (16 + 64 * 3)),
    Case(SMALL, "gradient", 64): once(FORWARD + BACKWARD, 64 * 4, 8 * (16 + 64 * 4)),
    Case(SMALL, "train", 64): once(FORWARD + BACKWARD + 16, 64 * 4, 8 * (16 + 64 * 4)),
    Case(SMALL, "train", 64, "float32"): once(FORWARD + BACKWARD + 16, 64 * 4, 4 * (16 + 64 * 4)),
    # 15,500 weights and 160 biases.
    Case(Network((100, 100, 50, 10)), "forward", 1): once(15_500 + 2 * 160, 160, 8 * (15_660 + 100)),
    # With one layer, no product goes back. Softmax takes an exponential for each of 2 outputs, the loss one logarithm.
    Case(Network((2, 2), output="softmax", loss="categorical_cross_entropy"), "gradient", 5): once(
        5 * (4 + 2 * 2) + 5 * (2 + 2 + 4) + 4 * 2, 5 * 2 + 5, 8 * (6 + 5 * 4)
    ),
    # ReLU and identity need no exponentials, and their derivatives no operations.
    Case(Network((2, 3, 1), "relu", "identity"), "gradient", 5): once(
        5 * 9 + 5 * (2 + 9 + 3) + 4 * (3 + 1), 0, 8 * (13 + 5 * 3)
    ),
    # The loss takes a logarithm for each output.
    Case(Network((2, 3), output="sigmoid", loss="binary_cross_entropy"), "gradient", 1): once(
        (6 + 2 * 3) + 2 * 3 + 6, 3 + 3, 8 * (9 + 5)
    ),
    # Four updates in each of 100 epochs. Mean squared error takes as many operations as half squared error.
    Case(XOR, "train", 4, epochs=100, batches=1): OperationCounts(
        400 * (17 + 22 + 13), 400 * 4, 8 * 100 * (4 * 13 + 4 * 3), 8 * (13 + 4 * 3)
    ),
    # Updates by batches of 2, 2 and 1.
    Case(XOR, "train", 5, batches=2): OperationCounts(
        5 * (17 + 22) + 2 * 4 + 3 * 13, 5 * 4, 8 * (3 * 13 + 5 * 3), 8 * (13 + 5 * 3)
    ),
    Case(Network((2, 3, 1), "tanh", "tanh"), "gradient", 1): once(
        (9 + 2 * 4) + (2 + 2) + 9 + 3 + 2 * 3, 4, 8 * (13 + 3)
    ),
}


@pytest.mark.parametrize("case", BY_HAND, ids=str)
def test_counts_known_by_hand(case):
    assert count_operations(case) == BY_HAND[case]


def counts_match():
    return all(count_operations(case) == known for case, known in BY_HAND.items())


WRONG = {
    "no backward pass": ("_backward", lambda network, batch: 0),
    "no logarithms": ("_logarithms", lambda network, batch: 0),
    "no exponentials": ("EXPONENTIAL", ()),
    "no derivatives": ("CURVED", ()),
    "no exponentials of softmax": ("EXPONENTIAL", ("sigmoid", "tanh")),
    "backward pass of one sample": (
        "_backward",
        lambda network, batch, whole=operation_counts._backward: whole(network, 1),
    ),
    "no biases": ("_parameters", lambda network: sum(n * m for n, m in network.shapes)),
    "8 bytes for every number": ("np", SimpleNamespace(dtype=lambda name: np.dtype("float64"))),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_count_differs_from_the_counts_by_hand(monkeypatch, name):
    assert counts_match()
    monkeypatch.setattr(operation_counts, *WRONG[name])
    assert not counts_match()


def machine_limits(**changes):
    """A machine with 10⁹ operations a second in float64 and twice as many in float32, and calls of a microsecond."""
    fields = {
        "products": {("float64", "any"): 1e9, ("float64", "slower"): 5e8, ("float32", "any"): 2e9},
        "exponentials": {"float64": 1e8, "float32": 2e8},
        "reading": {1024: 1e12, 4096: 1e10, 1 << 20: 1e6},
        "calls": {(dtype, name): 1e6 for dtype in ("float64", "float32") for name in KINDS},
    }
    return MachineLimits(**(fields | changes))


def test_the_lower_bound_is_a_call_plus_the_arithmetic():
    # 20 operations of 1 ns and 4 exponentials of 10 ns, after a call of 1 µs.
    assert lower_bound(Case(SMALL, "forward", 1), machine_limits()) == pytest.approx(1.06e-6, rel=1e-12)
    assert lower_bound(Case(SMALL, "forward", 1, "float32"), machine_limits()) == pytest.approx(1.03e-6, rel=1e-12)


def test_the_lower_bound_is_a_call_plus_the_reading_if_that_takes_longer():
    case = Case(Network((100, 100, 50, 10)), "forward", 1)  # reads 126,080 bytes, between 4096 and 1 MB
    slow = machine_limits(reading={1024: 1e12, 4096: 1e9, 1 << 20: 1e6})
    assert lower_bound(case, slow) == pytest.approx(1e-6 + 126_080e-9, rel=1e-12)


def test_the_bandwidth_is_that_of_the_last_size_measured_and_never_rises():
    found = machine_limits(reading={1000: 5.0, 2000: 7.0, 3000: 3.0, 4000: 4.0})
    assert [found.bandwidth(size) for size in (1, 1000, 1999, 2000, 2999, 3000, 3999, 4000, 10**9)] == [
        *(7.0, 7.0, 7.0),
        *(7.0, 7.0),
        *(4.0, 4.0),
        *(4.0, 4.0),
    ]


def test_better_takes_each_rate_from_the_faster_measurement():
    first, second = (
        machine_limits(exponentials={"float64": 1.0, "float32": 4.0}),
        machine_limits(reading={1024: 2e12, 4096: 1, 9: 9}),
    )
    best = first.better(
        machine_limits(exponentials={"float64": 3.0, "float32": 2.0}, reading={**first.reading, 1024: 1.0}),
    )
    assert best.exponentials == {"float64": 3.0, "float32": 4.0}
    assert best.reading == first.reading
    # The largest size depends on the free memory, so it may differ between measurements.
    assert machine_limits(reading={1: 2.0}).better(machine_limits(reading={2: 3.0})).reading == {1: 2.0, 2: 3.0}
    assert second.better(second) == second


networks = st.builds(
    Network,
    st.lists(st.integers(1, 300), min_size=2, max_size=5).map(tuple),
    st.sampled_from(["sigmoid", "tanh", "relu"]),
    st.sampled_from(["sigmoid", "tanh", "relu", "identity"]),
)


@given(networks, st.data(), st.sampled_from(["forward", "gradient", "train"]), st.integers(2, 2000))
def test_the_lower_bound_grows_with_every_size_and_operation(network, data, operation, batch):
    place = data.draw(st.integers(0, len(network.layer_sizes) - 1))
    sizes = list(network.layer_sizes)
    sizes[place] += 1
    wider = Network(tuple(sizes), network.hidden, network.output)
    least = lower_bound(Case(network, operation, batch), machine_limits())
    assert lower_bound(Case(wider, operation, batch), machine_limits()) > least
    assert lower_bound(Case(network, operation, batch + 1), machine_limits()) > least
    counts = [count_operations(Case(network, name, batch)).operations for name in ("forward", "gradient", "train")]
    assert counts[0] < counts[1] < counts[2]


def test_the_table_with_roofline_fits_into_80_columns(capsys):
    terminal.show(*tables.timings([row(lower_bound_seconds=1.23e-7, roofline_share=0.123, seconds=1e-6)]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "forward 3-3-1, 1 sample, float64 (≥ 123 ns)"
    assert re.fullmatch(r"numpy_plain .* 0\.12", lines[3])
    assert max(map(len, lines)) == 80


def test_the_kind_of_an_empty_call():
    cases = [Case(SMALL, "forward", 1), *(Case(SMALL, name, 64) for name in ("forward", "gradient", "train"))]
    assert tuple(map(call_kind, cases)) == KINDS


def test_the_shapes_are_those_of_a_gradient():
    case = Case(Network((5, 4, 3)), "gradient", 64)
    assert sorted(probes._shapes(case, 64)) == sorted([(64, 5, 4), (64, 4, 3), (5, 64, 4), (4, 64, 3), (64, 3, 4)])
    # The products of a forward pass have as many operations as the model counts.
    forward = Case(Network((5, 4, 3), "relu", "identity"), "forward", 64)
    assert sum(a * b * c for a, b, c in probes._shapes(forward, 64)) == count_operations(forward).operations


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_probe_kernels_compute_what_they_are_named_for(dtype):
    rng = np.random.default_rng(0)
    A, B, z = (rng.normal(size=shape).astype(dtype) for shape in ((5, 4), (4, 3), 33))
    C, before = np.empty((5, 3), dtype), z.copy()
    probe_kernels.products(A, B, C, 1)
    np.testing.assert_allclose(C, A @ B, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)
    probe_kernels.exponentials(z, 1)
    np.testing.assert_allclose(z, np.exp(-before), rtol=4 * np.finfo(dtype).eps)
    assert probe_kernels.reading(np.arange(34.0), 3) == 3 * sum(range(34))


@pytest.mark.slow
def test_every_probe_finds_a_rate(monkeypatch):
    monkeypatch.setattr(probes, "SAMPLES", 1)
    monkeypatch.setattr("pairbench.timer.SAMPLE_SECONDS", 1e-5)
    monkeypatch.setattr(probes, "SQUARES", (8,))
    monkeypatch.setattr(probes, "SIZES", (1 << 14, 1 << 16))
    monkeypatch.setattr(probes, "_beyond_caches", lambda: 1 << 20)
    probes._shared_buffer.cache_clear()
    cases = [Case(SMALL, "forward", 1), *(Case(SMALL, name, 65) for name in ("forward", "gradient", "train"))]
    cases += [Case(SMALL, "train", 65, batches=1), Case(SMALL, "train", 65, batches=7)]
    both = [*cases, *(replace(case, dtype="float32") for case in cases)]
    found = probes.probe_machine(both)
    probes._shared_buffer.cache_clear()
    names = ("8 × 8 × 8", "forward 3-3-1, batch 65", "gradient 3-3-1, batch 65", "gradient 3-3-1, batch 7")
    assert set(found.products) == {(dtype, name) for dtype in ("float64", "float32") for name in names}
    assert set(found.calls) == {(dtype, name) for dtype in ("float64", "float32") for name in KINDS}
    assert set(found.exponentials) == {"float64", "float32"}
    assert set(found.reading) == {1 << 14, 1 << 16, 1 << 20}
    for rates in (found.products, found.calls, found.exponentials, found.reading):
        assert all(rate > 0 for rate in rates.values())
    for case in both:
        assert lower_bound(case, found) > 0
