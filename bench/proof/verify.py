"""The proof of equality: every backend against the exact result on every network, and the proof of that proof.

``rows`` verifies a backend; ``death`` says which row rejects a mutant, a backend sabotaged on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from math import inf

from bench.cases import OPERATIONS, Case
from bench.proof import contract_tests, expectation, problems, scikit_learn
from bench.proof.expectation import Expectation
from bench.proof.targets import Evidence
from impls import Backend, Network
from pairbench.error_text import describe_error

BATCH = 7

NETWORKS = (
    Network((3, 3, 1)),
    Network((3, 3, 3, 1)),
    Network((5, 4), "sigmoid", "softmax", "categorical_cross_entropy"),
    Network((5, 5, 5), "relu", "relu", "half_squared_error"),
    Network((4, 6, 2), "tanh", "sigmoid", "binary_cross_entropy"),
    Network((6, 8, 3), "relu", "identity", "mean_squared_error"),
    Network((2, 3, 2), "tanh", "tanh", "mean_squared_error"),
    Network((7, 9, 5, 3), "relu", "softmax", "categorical_cross_entropy"),
    Network((1, 5, 2), "relu", "sigmoid", "mean_squared_error"),
    Network((4, 1, 3), "sigmoid", "relu", "mean_squared_error"),
    Network((3, 3, 3, 3, 3, 3, 2), "tanh", "tanh", "half_squared_error"),
    Network((30, 40, 20, 4), "sigmoid", "identity", "half_squared_error"),
)
"""Networks that every backend is verified on: every output and loss that go together, squares, one node, depth."""

LARGE = Network((100, 100, 50, 10))
"""The network on which the operations alone are verified: the contract does not depend on size."""

_NETWORKS = (*NETWORKS, LARGE)


@dataclass(frozen=True)
class ProofOutcome:
    """Outcome for one backend, network, dtype and operation: one of OPERATIONS, "contract" or "scikit-learn"."""

    backend: str
    network: Network
    dtype: str
    operation: str
    evidence: Evidence


def expect_case(case: Case) -> Expectation:
    """What a case must give on the inputs on which it is timed. Raises inputs.Unhealthy."""
    return expectation.expect_result(problems.draw_problem(case.network, case.batch, case.dtype), case.operation)


def verify_backend(backend: Backend) -> Iterator[ProofOutcome]:
    """Verify a backend on every network, in every dtype that it has, the small networks first."""
    for network in _NETWORKS:
        for dtype in backend.dtypes:
            for operation in _operations(backend, network, dtype):
                yield ProofOutcome(
                    backend.name, network, dtype, operation, _evidence(backend, network, dtype, operation)
                )


def count_checks(backend: Backend) -> int:
    """How many rows a backend has."""
    return sum(len(_operations(backend, network, dtype)) for network in _NETWORKS for dtype in backend.dtypes)


def unsupported_operations(backends: Iterable[Backend]) -> Iterator[tuple[str, str, str]]:
    """Backends, operations and reasons of what is not verified because a backend lacks it on some network."""
    for backend in backends:
        for network in _NETWORKS:
            for operation, reason in backend.lacks(network).items():
                yield backend.name, operation, reason


def kill_mutant(mutant: Backend) -> ProofOutcome | None:
    """The first row that rejects a mutant; None where it survives."""
    return next((row for row in verify_backend(mutant) if not row.evidence.ok), None)


def _operations(backend: Backend, network: Network, dtype: str) -> list[str]:
    """What is checked of a backend on a network; not what it lacks."""
    lacking = backend.lacks(network)
    operations = [operation for operation in OPERATIONS if operation not in lacking]
    if network == LARGE:
        return operations
    beside = dtype == "float64" and scikit_learn.applies(network) and "train" not in lacking
    return [*operations, "contract", *(["scikit-learn"] if beside else [])]


def _evidence(backend: Backend, network: Network, dtype: str, operation: str) -> Evidence:
    expected = _expected(network, dtype, operation if operation in OPERATIONS else "forward")
    match operation:
        case "contract":
            return contract_tests.check_contract(backend, expected.problem)
        case "scikit-learn":
            return _caught(partial(scikit_learn.check, backend, expected.problem))
        case _:
            return _caught(partial(_built_and_checked, expected, backend))


def _built_and_checked(expected: Expectation, backend: Backend) -> Evidence:
    problem = expected.problem
    return expected.check(backend.build(problem.network, problem.parameters, problem.dtype))


def _caught(check: Callable[[], Evidence]) -> Evidence:
    """Whatever a backend raises is a finding about that backend."""
    try:
        return check()
    except (Exception, SystemExit) as error:
        return Evidence(False, inf, inf, describe_error(error))


@cache
def _expected(network: Network, dtype: str, operation: str) -> Expectation:
    return expectation.expect_result(problems.draw_problem(network, BATCH, dtype), operation)
