"""Child process of test_threads: checks numba_simd on the number of threads in the environment, prints JSON.

``python -m tests.shares WORK``: batches are divided among threads from WORK multiplications on; 0 keeps the default.
With a second argument, it prints the digests of the results alone.
"""

import hashlib
import json
import sys
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  (the BLAS that Numba calls)
from threadpoolctl import threadpool_info

from bench.proof.bounds import Analysis, exact, exact_pairs
from bench.proof.expectation import expect_result
from bench.proof.problems import draw_problem
from bench.proof.targets import bounded_target, flat, flat_bounded
from impls import Network, load, numba_simd
from impls._simd import parallel

NETWORKS = (
    Network((3, 3, 1)),  # loops alone
    Network((20, 30, 4), "tanh", "softmax", "categorical_cross_entropy"),  # BLAS and loops
)
WIDE = Network((100, 100, 50, 10))
SIZES = (1, 2, 3, 65, 1024, 1079)
ROWS = np.random.default_rng(0).integers(1079, size=(3, 700))
STEPS = {
    "a last batch of 1": (539, [slice(0, 539), slice(539, 1078), slice(1078, 1079)]),  # fewer samples than threads
    "batches of 1": (1, [slice(s, s + 1) for s in range(100)]),  # never divided, so the first samples suffice
    "batches of rows": (ROWS, list(ROWS)),
}
HOW = {"epochs": 2, "learning_rate": 0.1, "bias_learning_rate": 0.2, "reduction": "mean"}

BACKEND = load("numba_simd")
shared_calls: dict[str, int] = {}
blas_counts: set[int] = set()


def blas_thread_counts() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def instrumented(function, signature, entry=numba_simd.entry_point):
    """Compile a function. For one that divides a batch, count its calls and record the number of BLAS threads."""
    compiled, name = entry(function, *signature), function.__name__
    if not name.endswith("_shared"):
        return compiled

    def call(*arguments):
        shared_calls[name] = shared_calls.get(name, 0) + 1
        if len(arguments[1]) == 1024 and arguments[1].shape[1] == WIDE.n_in:
            blas_counts.update(blas_thread_counts())
        return compiled(*arguments)

    return call


def build(network, parameters=None):
    """A model in float64: dividing a batch does not depend on the dtype, and compiling for float32 takes long."""
    return BACKEND.build(network, parameters or network.random_parameters())


def failures():
    """Messages about results that are not within the bound of the exact result."""
    for network in NETWORKS:
        for size in SIZES:
            for operation in ("forward", "gradient", "train"):
                expected = expect_result(draw_problem(network, size, "float64"), operation)
                evidence = expected.check(build(network, expected.problem.parameters))
                if not evidence.ok:
                    yield f"{operation} {network}, {size} samples: {evidence.reason}"
        problem = draw_problem(network, 1079, "float64")
        for name, (batches, steps) in STEPS.items():
            model = build(network, problem.parameters)
            X, Y = (of[:100] if name == "batches of 1" else of for of in (problem.X, problem.Y))
            losses = model.train(X, Y, batches=batches, **HOW)
            arguments = exact_pairs(problem.parameters), exact(X), exact(Y)
            how = {key: value for key, value in HOW.items() if key != "reduction"}
            of_losses, pairs = Analysis(network, "float64").train(*arguments, steps=steps, mean=True, **how)
            parameters = flat_bounded(pairs)
            for what, bounded, computed in (
                ("loss", of_losses, losses),
                ("parameter", parameters, flat(model.parameters())),
            ):
                evidence = bounded_target(what, "float64", bounded, bounded).judge(computed)
                if not evidence.ok:
                    yield f"{name} {network}: {evidence.reason}"


def results(network):
    """The bytes of all results that a model computes."""
    problem = draw_problem(network, 1079, "float64")
    model = build(network, problem.parameters)
    X, Y = problem.X, problem.Y
    loss, gradient = model.gradient(X, Y)
    parts = [model.forward(X), loss, flat(gradient), model.loss(X, Y)]
    parts += [model.train(X, Y, epochs=5, learning_rate=0.1, batches=500), flat(model.parameters())]
    return b"".join(np.asarray(part).tobytes() for part in parts)


def nan_rows():
    X = np.random.default_rng(1).normal(size=(1079, WIDE.n_in))
    X[[0, 700], 3] = np.nan
    return np.flatnonzero(np.isnan(build(WIDE).forward(X)).any(axis=1)).tolist()


def main() -> None:
    if int(sys.argv[1]):
        parallel.WORK, parallel.WEIGHT = int(sys.argv[1]), 0
    numba_simd.entry_point = lambda function, *signature: instrumented(function, signature)
    networks, blas_before = (*NETWORKS, WIDE), blas_thread_counts()
    first = [results(network) for network in networks]
    digests = [hashlib.sha256(result).hexdigest() for result in first]
    if len(sys.argv) > 2:
        print(json.dumps(digests))
        return
    filler = np.empty(12_345_677, np.uint8)  # so that the next arrays have other addresses
    second = [results(network) for network in networks]
    del filler
    build(WIDE).forward(np.zeros((1024, WIDE.n_in)))
    with ThreadPoolExecutor(2) as pool:
        pool.submit(lambda: build(WIDE).forward(np.zeros((1024, WIDE.n_in)))).result()
        concurrent = list(pool.map(results, [NETWORKS[1], WIDE] * 5))
    findings = {
        "digests": digests,
        "repeatable": first == second,
        "repeatable in concurrent calls": all(result == first[1 + i % 2] for i, result in enumerate(concurrent)),
        "rows with NaN": nan_rows(),
        "BLAS threads during calls": sorted(blas_counts),
        "BLAS threads restored": blas_thread_counts() == blas_before,
        "failures": list(failures()),
        "calls of dividing kernels": shared_calls,
    }
    numba.set_num_threads(1)
    findings["repeatable on one thread of Numba"] = [results(network) for network in networks] == first
    print(json.dumps(findings))


if __name__ == "__main__":
    main()
