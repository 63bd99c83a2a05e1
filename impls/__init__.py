"""One neural network (multilayer perceptron), written in several ways behind one interface.

``names`` lists the backends, ``load`` imports a backend, and ``Network`` describes a network. ``impls._backend``
documents the contract of a backend.
"""

from impls._backend import Array, Descent, Gradient, LayerArrays, Model, UnsupportedOperation
from impls._network import Network, Parameters
from impls._registry import (
    Backend,
    BackendError,
    BackendNotInstalled,
    BackendUnavailable,
    BrokenBackend,
    DuplicateBackend,
    UnknownBackend,
    load,
    misnamed,
    names,
    origins,
)

__all__ = [
    "Array",
    "Backend",
    "BackendError",
    "BackendNotInstalled",
    "BackendUnavailable",
    "BrokenBackend",
    "Descent",
    "DuplicateBackend",
    "Gradient",
    "LayerArrays",
    "Model",
    "Network",
    "Parameters",
    "UnknownBackend",
    "UnsupportedOperation",
    "load",
    "misnamed",
    "names",
    "origins",
]
