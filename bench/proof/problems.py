"""Random parameters, inputs and targets for a network, checked to be able to reveal a wrong backend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.proof import input_quality
from impls import Network

DRAWS = 50
"""Number of seeds to try, one after another, until the inputs are fit."""


class UnfitInputs(ValueError):
    """No inputs were found that would reveal a wrong backend."""


@dataclass(frozen=True, eq=False)  # by identity, so that what is expected of a problem can be cached
class Problem:
    """A network with parameters [(W, b), …], inputs X (batch, n_in) and targets Y (batch, n_out).

    The arrays are float64, and their values can be represented exactly in the dtype.
    """

    network: Network
    dtype: str
    parameters: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
    X: NDArray[np.float64]
    Y: NDArray[np.float64]


def draw_problem(network: Network, batch: int, dtype: str = "float64", seed: int = 0) -> Problem:
    """Return the first problem with fit inputs, from ``seed`` on. Raises UnfitInputs if no seed gives fit inputs."""
    complaint = ""
    for attempt in range(seed, seed + DRAWS):
        problem = _draw(network, batch, dtype, attempt)
        complaint = input_quality.find_fault(network, dtype, problem.parameters, problem.X, problem.Y)
        if not complaint:
            return problem
    raise UnfitInputs(
        f"no inputs for network {network} in {dtype} that would reveal a wrong backend in {DRAWS} draws: {complaint}"
    )


def _draw(network: Network, batch: int, dtype: str, seed: int) -> Problem:
    def rounded(array: NDArray[np.float64]) -> NDArray[np.float64]:
        return array.astype(dtype).astype(np.float64)

    rng = np.random.default_rng([seed, batch])
    try:
        parameters = [(rounded(W), rounded(b)) for W, b in network.random_parameters(seed)]
    except (ValueError, OverflowError, MemoryError):
        raise UnfitInputs(f"network {network} is too large for this machine") from None
    X = rng.normal(size=(batch, network.n_in))
    shape = (batch, network.n_out)
    match network.output:
        case "softmax":
            Y = rng.dirichlet(np.ones(network.n_out), size=batch)
            Y[::2] = np.eye(network.n_out)[rng.integers(network.n_out, size=len(Y[::2]))]
        case "sigmoid":
            Y = rng.uniform(0, 1, size=shape)
        case "tanh":
            Y = rng.uniform(-1, 1, size=shape)
        case "relu":
            Y = rng.exponential(size=shape)
        case _:
            Y = rng.normal(size=shape)
    problem = Problem(network, dtype, parameters, rounded(X), rounded(Y))
    for array in (problem.X, problem.Y, *(part for pair in parameters for part in pair)):
        array.flags.writeable = False  # a backend must not change the inputs of the backends after it
    return problem
