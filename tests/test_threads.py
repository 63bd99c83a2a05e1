"""numba_simd on several threads: within its bound, the same bits for the same thread count, BLAS left as it was."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from impls import Network
from impls._simd import parallel
from pairbench import threads
from tests.helpers import python


def findings_on(count, work, *digests):
    """The findings of tests/shares.py on ``count`` threads."""
    done = python("-m", "tests.shares", work, *digests, env=threads.thread_environment(os.environ, count))
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.slow
def test_numba_simd_on_two_and_three_threads():
    """In one test, so that two processes do not compile the same code at the same time."""
    check_threads(findings_on(2, "0"))
    first = findings_on(3, "1")  # only with three shares does the order of summation matter
    check_threads(first)
    assert first["digests"] == findings_on(3, "1", "digests")


def check_threads(first):
    assert first["failures"] == []
    assert first["repeatable"]
    assert first["repeatable in concurrent calls"]
    assert first["repeatable on one thread of Numba"]  # the shares depend on the environment variable alone
    assert first["rows with NaN"] == [0, 700]
    assert first["BLAS threads during calls"] == [1]
    assert first["BLAS threads restored"]
    kernels = {"forward_shared", "total_loss_shared", "train_shared"}
    assert first["calls of dividing kernels"].keys() == kernels
    assert min(first["calls of dividing kernels"].values()) > 10


ERRORS = """
import numpy as np
from numba import njit, types
from impls._numba import address_of, entry_point
from impls._simd import parallel

vector, matrix = types.float64[::1], types.float64[:, ::1]

@njit
def forward(P, X, out):
    if X[0, 0] > 0:
        raise MemoryError
    for i in range(len(X)):  # the expression X + 1 would take seconds to compile
        for j in range(X.shape[1]):
            out[i, j] = X[i, j] + 1

address = address_of(forward, (vector, matrix, matrix))
# As numba_simd compiles it: the code may be in the cache.
forward_shared = entry_point(parallel.forward_shared, vector, matrix, matrix, types.int64, types.int64)
for failing in ([], [0], [5], [0, 5]):
    X, out = np.zeros((10, 3)), np.zeros((10, 3))
    X[failing] = 1
    try:
        forward_shared(np.zeros(1), X, out, address, 2)
    except (MemoryError, SystemError):
        print("error", end=" ")
    else:
        print(out.sum(), end=" ")
"""
"""Divides 10 rows into two shares, of which none, the first, the second, or both fail."""


@pytest.mark.slow
def test_an_error_in_any_thread_is_raised():
    done = python("-c", ERRORS, env=threads.thread_environment(os.environ, 2))
    assert done.stdout.split() == ["30.0", "error", "error", "error"], done.stderr


def test_the_default_is_one_thread(monkeypatch):
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert parallel.threads() == 1
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    assert parallel.threads() == 2


def test_small_batches_stay_whole(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    network = Network((3, 3, 1))
    calls = []
    kernel = parallel.divided(
        lambda P, X: calls.append(("alone", len(X))),
        lambda P, X, address, shares: calls.append((address, shares, len(X))),
        "address",
        parallel.samples,
        5,
        network,
    )
    for size in (1, 4, 5, 6):
        kernel(None, [0] * size)
    assert calls == [("alone", 1), ("alone", 4), ("address", 2, 5), ("address", 2, 6)]


def test_every_share_has_a_sample(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "8")
    network = Network((3, 3, 1))
    kernel = parallel.divided(lambda P, X: "alone", lambda *arguments: "shared", None, parallel.samples, 1, network)
    assert [kernel(None, [0] * size) for size in (1, 7, 8)] == ["alone", "alone", "shared"]
    for samples in range(8, 100):
        bounds = [parallel.bound.py_func(samples, share, 8) for share in range(9)]
        assert bounds[0] == 0
        assert bounds[-1] == samples
        assert all(first < last for first, last in pairwise(bounds))


def test_larger_networks_are_divided_from_fewer_samples_on():
    least = [
        (parallel.least_forward(network), parallel.least_gradient(network))
        for network in (Network((3, 3, 1)), Network((64, 30, 10)), Network((512, 512, 512)))
    ]
    assert least == sorted(least, reverse=True)
    assert least[0][0] > 1024  # below, synchronizing the threads would take longer than the saved time
    assert max(least[1]) < 1078


class Library:
    """A stand-in for a BLAS, with a number of threads."""

    count = 5

    def get_num_threads(self):
        return self.count

    def set_num_threads(self, count):
        self.count = count


@pytest.fixture
def library(monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    library = Library()
    monkeypatch.setattr(parallel, "_blas", lambda: [library])
    return library


def test_blas_is_on_one_thread_during_overlapping_calls_and_set_back_after(library):
    def sleep(P, X, *shares):
        time.sleep(0.1)
        during.append(library.count)

    during = []
    kernel = parallel.divided(sleep, sleep, None, parallel.samples, 1, Network((1024, 1024)))
    with ThreadPoolExecutor(2) as pool:
        pool.submit(kernel, None, [0] * 2000)
        time.sleep(0.05)  # the second call begins during the first and ends after it
        pool.submit(kernel, None, [0] * 2000)
    assert during == [1, 1]
    assert library.count == 5


def test_blas_is_set_back_though_a_kernel_fails(library):
    def fail(*arguments):
        during.append(library.count)
        raise KeyboardInterrupt

    during = []
    kernel = parallel.divided(fail, fail, None, parallel.samples, 100, Network((1024, 1024)))
    for size in (99, 100):  # 99 samples are not divided, but BLAS could use several threads for them
        with pytest.raises(KeyboardInterrupt):
            kernel(None, [0] * size)
    assert during == [1, 1]
    assert library.count == 5
