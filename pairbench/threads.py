"""Thread counts of the numerical libraries: set in the environment before NumPy is imported, then checked."""

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
    "NPROC",  # XLA
)

SPIN_BRIEFLY = {
    "GOMP_SPINCOUNT": "10000",  # GNU OpenMP: 0.5 ms instead of 16
    "KMP_BLOCKTIME": "1",  # Intel OpenMP: 1 ms instead of 200
    "OPENBLAS_THREAD_TIMEOUT": "20",  # 2²⁰ clock cycles instead of 2²⁶
}
"""How long idle threads spin on a CPU: short, because in a block the threads of the next arm need the CPU."""


class ThreadCountError(RuntimeError):
    """A library uses another number of threads than was set."""


@dataclass(frozen=True)
class Pool:
    """A library's thread pool, as the library reports it."""

    library: str
    version: str | None
    num_threads: int


def thread_environment(base: Mapping[str, str] = os.environ, count: int = 1) -> dict[str, str]:
    """Environment for a child process: ``base`` with every thread variable set to ``count``."""
    return {**base, **dict.fromkeys(VARIABLES, str(count)), **(SPIN_BRIEFLY if count > 1 else {})}


def limit_own_threads() -> None:
    """Set the thread variables of this process to 1.

    Raises ThreadCountError if other values are set and NumPy, which reads them on import, is already imported.
    """
    settings = dict.fromkeys(VARIABLES, "1")
    if all(os.environ.get(name) == value for name, value in settings.items()):
        return
    if "numpy" in sys.modules:
        raise ThreadCountError("thread variables must be set before NumPy is imported, but NumPy is already imported")
    os.environ.update(settings)


def check_thread_counts(count: int = 1) -> list[Pool]:
    """Thread pools of the imported libraries. Raises ThreadCountError if a pool does not have ``count`` threads."""
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
            raise ThreadCountError(f"{pool.library} uses {pool.num_threads} threads instead of {count}")
    return pools
