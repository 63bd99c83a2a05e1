import numpy as np
import pytest

import impls
from impls import Backend, Network

CORE = [name for name, origin in impls.origins().items() if origin == "core"]


@pytest.fixture(params=CORE)
def backend(request: pytest.FixtureRequest) -> Backend:
    return impls.load(request.param)


@pytest.fixture
def example() -> tuple[Network, list[tuple[np.ndarray, np.ndarray]], list[float]]:
    """The 3-3-1 network of the first tutorial; its output is 1 / (1 + exp(-1.6246…)) = 0.83545566…"""
    W1 = np.array([[0.2, 0.2, 0.2], [0.4, 0.4, 0.4], [0.6, 0.6, 0.6]]).T
    W2 = np.array([[0.5, 0.5, 0.5]]).T
    return Network((3, 3, 1)), [(W1, np.full(3, 0.8)), (W2, np.array([0.2]))], [1.5, 2.0, 3.0]
