"""One neural network (multilayer perceptron), written in several ways behind one interface.

``names`` lists the backends, ``load`` imports one, ``Network`` describes a network; ``impls._backend`` has the
contract.
"""

from impls._backend import Model
from impls._network import Network
from impls._registry import (
    Backend,
    BackendError,
    BackendNotInstalled,
    BrokenBackend,
    DuplicateBackend,
    UnknownBackend,
    load,
    names,
    origins,
)

__all__ = [
    "Backend",
    "BackendError",
    "BackendNotInstalled",
    "BrokenBackend",
    "DuplicateBackend",
    "Model",
    "Network",
    "UnknownBackend",
    "load",
    "names",
    "origins",
]
