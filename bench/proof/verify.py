"""The proof of equality: compares every backend with the exact result on every network.

``verify_backend`` yields the outcomes of all checks of a backend. ``kill_mutant`` returns the outcome that rejects a
mutant, which is a backend with a deliberate fault.
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
"""Networks on which every backend is verified.

They cover every valid pair of output activation and loss, square weight matrices, layers of one node, and many layers.
"""

LARGE = Network((100, 100, 50, 10))
"""A network on which only the operations are verified, because the contract does not depend on the size."""

_NETWORKS = (*NETWORKS, LARGE)


@dataclass(frozen=True)
class ProofOutcome:
    """Outcome of one check of a backend on a network, in a dtype.

    ``operation`` is one of OPERATIONS, "contract" or "scikit-learn".
    """

    backend: str
    network: Network
    dtype: str
    operation: str
    evidence: Evidence


def expect_case(case: Case) -> Expectation:
    """Return the expected result of a case, on the inputs with which the case is timed. Raises UnfitInputs."""
    return expectation.expect_result(problems.draw_problem(case.network, case.batch, case.dtype), case.operation)


def verify_backend(backend: Backend) -> Iterator[ProofOutcome]:
    """Verify a backend on every network and in every dtype that the backend supports, the small networks first."""
    for network in _NETWORKS:
        for dtype in backend.dtypes:
            for operation in _operations(backend, network, dtype):
                evidence = _check(backend, network, dtype, operation)
                yield ProofOutcome(backend.name, network, dtype, operation, evidence)


def count_checks(backend: Backend) -> int:
    """Return the number of outcomes that ``verify_backend`` yields for a backend."""
    return sum(len(_operations(backend, network, dtype)) for network in _NETWORKS for dtype in backend.dtypes)


def unsupported_operations(backends: Iterable[Backend]) -> Iterator[tuple[str, str, str]]:
    """Yield (backend, operation, reason) for each operation that a backend does not support on some network."""
    for backend in backends:
        for network in _NETWORKS:
            for operation, reason in backend.lacks(network).items():
                yield backend.name, operation, reason


def kill_mutant(mutant: Backend) -> ProofOutcome | None:
    """Return the first outcome that rejects a mutant, or None if the mutant survives."""
    return next((outcome for outcome in verify_backend(mutant) if not outcome.evidence.ok), None)


def _operations(backend: Backend, network: Network, dtype: str) -> list[str]:
    """The operations to check for a backend on a network, without those that the backend does not support."""
    unsupported = backend.lacks(network)
    operations = [operation for operation in OPERATIONS if operation not in unsupported]
    if network == LARGE or "forward" in unsupported:
        return operations
    has_second_oracle = dtype == "float64" and scikit_learn.applies(network) and "train" not in unsupported
    return [*operations, "contract", *(["scikit-learn"] if has_second_oracle else [])]


def _check(backend: Backend, network: Network, dtype: str, operation: str) -> Evidence:
    expected = _expected(network, dtype, operation if operation in OPERATIONS else "forward")
    match operation:
        case "contract":
            return contract_tests.check_contract(backend, expected.problem)
        case "scikit-learn":
            return _check_without_raising(partial(scikit_learn.check, backend, expected.problem))
        case _:
            return _check_without_raising(partial(_build_and_check, expected, backend))


def _build_and_check(expected: Expectation, backend: Backend) -> Evidence:
    problem = expected.problem
    return expected.check(backend.build(problem.network, problem.parameters, problem.dtype))


def _check_without_raising(check: Callable[[], Evidence]) -> Evidence:
    """Run a check; an exception that the backend raises counts as a failure of the backend."""
    try:
        return check()
    except (Exception, SystemExit) as error:
        return Evidence(False, inf, inf, describe_error(error))


@cache
def _expected(network: Network, dtype: str, operation: str) -> Expectation:
    return expectation.expect_result(problems.draw_problem(network, BATCH, dtype), operation)
