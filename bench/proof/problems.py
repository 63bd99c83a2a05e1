"""Parameters, inputs and targets of a network, drawn from a seed and examined before they are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.proof import input_quality
from impls import Network

DRAWS = 50
"""Seeds that are tried, one after another, for healthy inputs."""


class UnfitInputs(ValueError):
    """No inputs were found on which a wrong backend would show."""


@dataclass(frozen=True)
class Problem:
    """A network, parameters [(W, b), …], X (batch, n_in) and Y (batch, n_out): float64, representable in the dtype."""

    network: Network
    dtype: str
    parameters: list[tuple[NDArray[np.float64], NDArray[np.float64]]]
    X: NDArray[np.float64]
    Y: NDArray[np.float64]


def draw_problem(network: Network, batch: int, dtype: str = "float64", seed: int = 0) -> Problem:
    """The first healthy problem from ``seed`` on. Raises Unhealthy where none is found."""
    complaint = ""
    for attempt in range(seed, seed + DRAWS):
        problem = _draw(network, batch, dtype, attempt)
        complaint = input_quality.find_fault(network, dtype, problem.parameters, problem.X, problem.Y)
        if not complaint:
            return problem
    raise UnfitInputs(
        f"no inputs for network {network} in {dtype} on which a wrong backend would show, in {DRAWS} draws: {complaint}"
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
        array.flags.writeable = False  # a backend that writes to its inputs must not spoil the proof for the next
    return problem
