"""Compiles ahead: backends compile all operations in parallel processes, and later processes load the code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from time import perf_counter

import numpy as np

from impls import Backend, Network, load
from pairbench import machine
from pairbench.error_text import describe_error
from pairbench.progress import Progress
from pairbench.worker_calls import call_in_worker
from pairbench.worker_processes import WorkerDied, WorkerDisturbed, WorkerRefused

BATCH = 2
"""Number of samples. Compiled code does not depend on it, or the backend compiles anew for every shape."""


@dataclass(frozen=True)
class FirstResults:
    """Seconds until a process has called every operation of a backend, and the folders that hold the compiled code.

    ``reason`` says in one line why the backend failed; empty if it did not.
    """

    seconds: float = 0.0
    folders: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class CompiledAhead:
    """The first results of a backend with the cache as it was, and again in a process after that."""

    backend: str
    first: FirstResults
    again: FirstResults

    @property
    def reason(self) -> str:
        """Why the backend failed, in one line; empty if it did not."""
        return self.first.reason or self.again.reason


def compile_ahead(
    backends: Sequence[Backend], networks: Sequence[Network], dtypes: Sequence[str], threads: int, progress: Progress
) -> Iterator[CompiledAhead]:
    """Compile each backend in a process of its own, as many at a time as there are usable CPUs; yield as they finish.

    A backend is compiled by one process alone, because two might replace each other's entries in Numba's cache.
    """
    progress.start(len(backends))
    progress.stage(f"compiling {', '.join(backend.name for backend in backends)}")
    with ThreadPoolExecutor(machine.cpus_usable()) as pool:
        # The last backends of the ladder take longest, so they begin first.
        last_first = reversed(backends)
        futures = [pool.submit(_compile_twice, backend.name, networks, dtypes, threads) for backend in last_first]
        for future in as_completed(futures):
            progress.advance()
            yield future.result()


def _compile_twice(backend: str, networks: Sequence[Network], dtypes: Sequence[str], threads: int) -> CompiledAhead:
    first, again = (_in_fresh_process(backend, tuple(networks), tuple(dtypes), threads) for _ in range(2))
    return CompiledAhead(backend, first, again)


def _in_fresh_process(
    backend: str, networks: tuple[Network, ...], dtypes: tuple[str, ...], threads: int
) -> FirstResults:
    """What ``first_results`` returns in a fresh process."""
    try:
        result: FirstResults = call_in_worker(first_results, backend, networks, dtypes, threads=threads, label=backend)
        return result
    except (WorkerDied, WorkerDisturbed, WorkerRefused) as error:
        return FirstResults(reason=str(error))


def first_results(name: str, networks: Sequence[Network], dtypes: Sequence[str]) -> FirstResults:
    """Load a backend, and call every operation once."""
    start = perf_counter()
    try:
        _call_every_operation(load(name), networks, dtypes)
    except (Exception, SystemExit) as error:  # any exception counts as a failure of the backend
        return FirstResults(reason=describe_error(error))
    seconds = perf_counter() - start
    from impls import _numba  # here, because it imports Numba, which the parent does not need

    return FirstResults(seconds, tuple(sorted(_numba.cache_folders)))


def _call_every_operation(backend: Backend, networks: Sequence[Network], dtypes: Sequence[str]) -> None:
    for network, dtype in product(networks, dtypes):
        if dtype not in backend.dtypes or "forward" in (lacks := backend.lacks(network)):
            continue
        model = backend.build(network, network.random_parameters(), dtype=dtype)
        X, Y = np.ones((BATCH, network.n_in)), np.full((BATCH, network.n_out), 1 / network.n_out)
        model.forward(X[0])
        model.forward(X)
        if "loss" not in lacks:
            model.loss(X, Y)
        if "gradient" not in lacks:
            model.gradient(X, Y)
        if "train" not in lacks:
            for batches in (1, BATCH):  # updates by single samples may have code of their own
                model.train(X, Y, epochs=1, learning_rate=0.1, batches=batches)
