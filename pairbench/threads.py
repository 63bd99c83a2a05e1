"""Thread counts of the numerical libraries: set before NumPy is imported, then checked with threadpoolctl."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NPROC",  # XLA's
)

BRIEFLY = {
    "GOMP_SPINCOUNT": "10000",  # GNU's OpenMP: half a millisecond, instead of 16
    "KMP_BLOCKTIME": "1",  # Intel's: a millisecond, instead of 200
    "OPENBLAS_THREAD_TIMEOUT": "20",  # 2²⁰ clock cycles, instead of 2²⁶
}
"""How long threads without work keep a CPU busy, waiting for more: in a block the next arm's threads need it."""


class ThreadCountError(RuntimeError):
    """A library does not use the number of threads that it was told to."""


@dataclass(frozen=True)
class Pool:
    """A library's pool of threads, as the library itself reports it."""

    library: str
    version: str | None
    num_threads: int


def thread_environment(base: Mapping[str, str] = os.environ, count: int = 1) -> dict[str, str]:
    """Environment for a child process: ``base`` with every thread variable set to the count."""
    return {**base, **dict.fromkeys(VARIABLES, str(count)), **(BRIEFLY if count > 1 else {})}


def limit_own_threads() -> None:
    """Set the variables of this process to 1. Raises ThreadCountError if NumPy has already read other values."""
    wanted = dict.fromkeys(VARIABLES, "1")
    if all(os.environ.get(name) == value for name, value in wanted.items()):
        return
    if "numpy" in sys.modules:
        raise ThreadCountError("thread variables must be set before NumPy is imported, and it is imported already")
    os.environ.update(wanted)


def check_thread_counts(count: int = 1) -> list[Pool]:
    """Pools of the libraries imported so far. Raises ThreadCountError if one has another number of threads."""
    from threadpoolctl import threadpool_info

    pools = [Pool(pool["prefix"], pool.get("version"), int(pool["num_threads"])) for pool in threadpool_info()]
    if "numba" in sys.modules:
        import numba

        pools.append(Pool("numba", numba.__version__, int(numba.get_num_threads())))
    if "torch" in sys.modules:
        import torch

        pools.append(Pool("torch", torch.__version__, int(torch.get_num_threads())))
    for pool in pools:
        if pool.num_threads != count:
            raise ThreadCountError(f"{pool.library} uses {pool.num_threads} threads where {count} was asked for")
    return pools
