"""Thread counts of the numerical libraries: set in the environment before NumPy is imported, then checked."""

from __future__ import annotations

__all__ = ["limit_own_threads", "thread_environment"]

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pairbench.workload import WorkloadError

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


@dataclass(frozen=True)
class _Library:
    """A library with a thread pool, and the functions that read and set its number of threads."""

    name: str
    version: str | None
    read: Callable[[], int]
    set: Callable[[int], object]

    def error(self, count: int) -> str:
        number = self.read()
        return f"{self.name} uses {number} thread{'s' * (number != 1)} instead of {count}"


def _loaded_libraries() -> list[_Library]:
    from threadpoolctl import ThreadpoolController

    pools = ThreadpoolController().lib_controllers
    modules = [sys.modules[name] for name in ("numba", "torch") if name in sys.modules]
    return [
        # In all but one Python thread, recent versions of threadpoolctl ignore ``set_num_threads``.
        *(
            _Library(
                pool.prefix,
                pool.version,
                pool.get_num_threads,
                getattr(pool, "_real_set_num_threads", pool.set_num_threads),
            )
            for pool in pools
        ),
        *(_Library(one.__name__, str(one.__version__), one.get_num_threads, one.set_num_threads) for one in modules),
    ]


class ThreadWatch:
    """Notices that a library uses another number of threads than ``count``, and sets the number again.

    It watches the libraries that were loaded when it was created, Numba only if it has started its threads: asking for
    their number would start them.
    """

    def __init__(self, count: int):
        self._count = count
        started = getattr(sys.modules.get("numba.np.ufunc.parallel"), "_is_initialized", False)
        self._libraries = [library for library in _loaded_libraries() if started or library.name != "numba"]

    def require_unchanged(self) -> None:
        """Set wrong numbers of threads again. Raises WorkloadError, which names the first library, if there are any."""
        wrong = [library for library in self._libraries if library.read() != self._count]
        errors = [library.error(self._count) for library in wrong]
        for library in wrong:
            library.set(self._count)
        if errors:
            raise WorkloadError(errors[0])


def check_thread_counts(count: int = 1) -> list[Pool]:
    """Thread pools of the imported libraries. Raises ThreadCountError if a pool does not have ``count`` threads."""
    libraries = _loaded_libraries()
    for library in libraries:
        if library.read() != count:
            raise ThreadCountError(library.error(count))
    return [Pool(library.name, library.version, count) for library in libraries]
