"""The ways to train one epoch on all samples that are compared.

An epoch is one update by the mean gradient of all samples, except that scikit-learn updates after every part, because
``partial_fit`` cannot do otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil

import impls
from bench.proof.targets import flat
from bench.scale_out import data
from impls import Array, Model, Parameters

LEARNING_RATE = 0.5
IN_MEMORY, STREAMED, NO_CLUSTER = "numba_simd in memory", "numba_simd in parts", "dask_data_parallel, no cluster"
SKLEARN, TORCH = "scikit-learn partial_fit", "PyTorch DataLoader"
WORKER_MEMORY = "1.5GB"
"""Memory of a worker process. Dask stops a worker that takes more."""


@dataclass(frozen=True)
class Trainer:
    """A training: one epoch, which returns the mean loss, and the parameters as a vector.

    The parameters are None if the method has other updates than the rest, so that its result has no exact value here.
    """

    epoch: Callable[[], float]
    parameters: Callable[[], Array | None]


def workers_name(workers: int) -> str:
    """The name of the method with so many worker processes."""
    return f"dask_data_parallel, {workers} worker{'s' * (workers != 1)}"


def peak_memory() -> int:
    """The largest resident memory of this process so far, in bytes.

    Linux reports the peak of ``getrusage`` for the program that started this one, too, hence the other source.
    """
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s*(\d+) kB", status.read_text())):
        return 1024 * int(found[1])
    if peak := getattr(psutil.Process().memory_info(), "peak_wset", 0):  # Windows
        return int(peak)
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


def initial() -> Parameters:
    """The parameters from which every method starts."""
    return data.NETWORK.random_parameters(0)


def in_memory(samples: int, rows: int) -> Trainer:
    """``numba_simd`` on arrays that are made before the epoch."""
    X, Y = data.inputs(0, samples), data.targets(0, samples)
    return _trainer(impls.load("numba_simd").build(data.NETWORK, initial()), X, Y)


def in_parts(samples: int, rows: int) -> Trainer:
    """``numba_simd`` in one process, which makes one part after another and adds the gradients."""
    backend, parameters = impls.load("numba_simd"), initial()

    def epoch() -> float:
        model, loss = backend.build(data.NETWORK, parameters), 0.0
        total = [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters]
        for start, stop in data.parts(samples, rows):
            part, gradient = model.gradient(data.inputs(start, stop), data.targets(start, stop), "sum")
            loss += part
            for (W, b), (dW, db) in zip(total, gradient, strict=True):
                W += dW
                b += db
        for (W, b), (dW, db) in zip(parameters, total, strict=True):
            W -= LEARNING_RATE / samples * dW
            b -= LEARNING_RATE / samples * db
        return loss / samples

    return Trainer(epoch, lambda: flat(parameters))


def data_parallel(samples: int, rows: int) -> Trainer:
    """``dask_data_parallel``, on the current cluster, if there is one."""
    model = impls.load("dask_data_parallel").build(data.NETWORK, initial())
    return _trainer(model, *data.dask_arrays(samples, rows))


@contextmanager
def cluster(workers: int) -> Iterator[Any]:
    """The client of a new cluster on this machine: worker processes of one thread each. The cluster ends with it."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port
            memory_limit=WORKER_MEMORY,
        ) as local,
        Client(local) as client,
    ):
        yield client


def partial_fit(samples: int, rows: int) -> Trainer:
    """scikit-learn's classifier, with one ``partial_fit`` for each part and one update in each."""
    from sklearn.neural_network import MLPClassifier

    classifier = MLPClassifier(
        data.NETWORK.layer_sizes[1:-1],
        activation="logistic",
        solver="sgd",
        alpha=0.0,
        learning_rate_init=LEARNING_RATE,
        momentum=0.0,
        shuffle=False,
        random_state=0,
    )

    def epoch() -> float:
        loss = 0.0
        for start, stop in data.parts(samples, rows):
            classifier.batch_size = stop - start
            classifier.partial_fit(data.inputs(start, stop), data.classes(start, stop), classes=range(10))
            loss += classifier.loss_ * (stop - start)
        return loss / samples

    return Trainer(epoch, lambda: None)


def data_loader(samples: int, rows: int) -> Trainer:
    """PyTorch: a ``DataLoader`` that makes one part after another, gradients by autograd, one update."""
    import torch
    from torch.utils.data import DataLoader, IterableDataset

    class Parts(IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Iterator[Any]:
            for start, stop in data.parts(samples, rows):
                yield torch.from_numpy(data.inputs(start, stop)), torch.from_numpy(data.targets(start, stop))

    torch.set_num_threads(1)
    pairs = [(torch.tensor(W, requires_grad=True), torch.tensor(b, requires_grad=True)) for W, b in initial()]
    optimizer = torch.optim.SGD([one for pair in pairs for one in pair], lr=LEARNING_RATE / samples)

    def epoch() -> float:
        optimizer.zero_grad()
        total = 0.0
        for X, Y in DataLoader(Parts(), batch_size=None):
            for W, b in pairs:
                X = torch.sigmoid(torch.addmm(b, X, W))
            loss = (X - Y).square().sum() / 2
            loss.backward()
            total += loss.item()
        optimizer.step()
        return total / samples

    return Trainer(epoch, lambda: flat([(W.detach().numpy(), b.detach().numpy()) for W, b in pairs]))


def _trainer(model: Model, X: Any, Y: Any) -> Trainer:
    def epoch() -> float:
        return float(model.train(X, Y, epochs=1, learning_rate=LEARNING_RATE)[0])

    return Trainer(epoch, lambda: flat(model.parameters()))
