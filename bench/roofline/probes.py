"""The probes: what this machine does at best, on one thread.

A probe is repeated, and its shortest time counts, over several fresh processes: what disturbs can only make it longer.
Of several ways to do the same the fastest counts, for no backend is to be faster than a limit. So matrix products are
those of NumPy's BLAS, of SciPy's and, where it is installed, of PyTorch; exponentials those of NumPy and of
``numba_simd``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numba import typeof

from bench.cases import Case
from bench.roofline import probe_kernels
from bench.roofline.lower_bound import MachineLimits, call_kind
from impls import Array
from impls._numba import compile_cached
from pairbench.progress import Progress
from pairbench.timer import estimate_seconds, time_calls
from pairbench.worker_processes import run_job
from pairbench.worker_protocol import CallJob, CallResult

PROCESSES = 3
STRETCHES, STRETCH = 10, 0.002
"""How often a probe is timed, and for how many seconds."""

SQUARES = (512, 1024)
"""Sizes of the square matrices among whose products the fastest is looked for."""

BLOCK = 64
"""Samples of a block: a product may be quicker in parts."""

SHORT = 1 << 20
"""A probe of fewer operations, exponentials or bytes than these is repeated within one call."""

VALUES = 1024
"""Exponentials in one go, so few that the nearest cache holds them."""

SIZES = tuple(size << k for k in range(14, 27) for size in (2, 3))
"""Bytes that are read over and over again, 32 kB to 200 MB, and beside these what no cache holds."""

PAGE = 4096
NO_CACHE = 1 << 28
"""Bytes that no cache is taken to hold where the system does not say how large the caches are."""

Call = Callable[[Any], object]


def measure_limits(cases: Sequence[Case], progress: Progress) -> MachineLimits:
    """The limits for some cases, from several fresh processes. Raises WorkerRefused where none can work."""
    progress.start(PROCESSES)
    found: list[MachineLimits] = []
    for number in range(PROCESSES):
        progress.stage(f"measuring the limits, process {number + 1} of {PROCESSES}")
        with closing(run_job(CallJob(probe_machine, (tuple(cases),)))) as answers:
            found += [answer.value for answer in answers if isinstance(answer, CallResult)]
        progress.advance()
    best, *others = found
    for other in others:
        best = best.better(other)
    return best


def probe_machine(cases: Sequence[Case]) -> MachineLimits:
    """The limits for some cases, measured in this process."""
    dtypes = sorted({case.dtype for case in cases})
    products = {(dtype, f"{n} × {n} × {n}"): _product(dtype, n, n, n) for dtype in dtypes for n in SQUARES}
    products |= {(case.dtype, _products_name(case)): _products(case) for case in cases if _samples(case) > 1}
    return MachineLimits(
        products=products,
        exponentials={dtype: _exponentials(dtype) for dtype in dtypes},
        reading={size: _reading(size) for size in (*SIZES, _beyond_caches())},
        calls={(case.dtype, call_kind(case)): _calls(case.dtype, call_kind(case)) for case in cases},
    )


def _products_name(case: Case) -> str:
    """What the products of a case are called; those of ``train`` are those of ``gradient``."""
    products = "forward" if case.operation == "forward" else "gradient"
    return f"{products} {case.network}, batch {_samples(case)}"


def _samples(case: Case) -> int:
    """Samples that go through the layers together."""
    return case.batches or case.batch


def _rate(call: Call, argument: Any, amount: float) -> float:
    """How much of something in a second, where one ``call(argument)`` does this amount of it."""
    loops = max(1, round(STRETCH / estimate_seconds(call, argument)))
    return amount / min(time_calls(call, argument, loops) for _ in range(STRETCHES))


def _entry(kernel: Any, *arguments: Any) -> Callable[..., Any]:
    """A kernel for such arguments, called past its dispatcher as ``numba_simd`` calls its own."""
    entry: Callable[..., Any] = compile_cached(kernel, tuple(map(typeof, arguments))).entry_point
    return entry


def _products(case: Case) -> float:
    """Operations in a second of all matrix products of a case, whole or in blocks of samples."""
    rates = []
    for samples in {_samples(case), min(_samples(case), BLOCK)}:
        shapes = list(_shapes(case, samples))
        operations = [rows * inner * columns for rows, inner, columns in shapes]
        seconds = [count / _product(case.dtype, *shape) for count, shape in zip(operations, shapes, strict=True)]
        rates.append(sum(operations) / sum(seconds))
    return max(rates)


def _shapes(case: Case, samples: int) -> Iterator[tuple[int, int, int]]:
    """Rows, inner length and columns of the products: of forward, of the weights' slopes, of what goes back."""
    for layer, (n, m) in enumerate(case.network.shapes):
        yield samples, n, m
        if case.operation != "forward":
            yield n, samples, m
            if layer > 0:
                yield samples, m, n


@cache
def _product(dtype: str, rows: int, inner: int, columns: int) -> float:
    """Operations in a second of a matrix product, by the fastest library."""
    rng = np.random.default_rng(0)
    A, B = (rng.normal(size=shape).astype(dtype) for shape in ((rows, inner), (inner, columns)))
    C = np.empty((rows, columns), dtype)
    operations = rows * inner * columns
    times = 1 + SHORT // operations
    compiled = partial(_entry(probe_kernels.products, A, B, C, times), A, B, C)
    rates = [_rate(compiled, times, operations * times), _rate(partial(np.dot, A, B), C, operations)]
    if find_spec("torch") is not None:
        import torch

        a, b = torch.from_numpy(A), torch.from_numpy(B)
        rates.append(_rate(lambda out: torch.mm(a, b, out=out), torch.from_numpy(C), operations))
    return max(rates)


def _exponentials(dtype: str) -> float:
    """Exponentials in a second."""
    z = _memory(VALUES * np.dtype(dtype).itemsize).view(dtype)
    z[:] = np.random.default_rng(0).normal(size=VALUES)
    compiled, times = partial(_entry(probe_kernels.exponentials, z, 1), z), 1 + SHORT // VALUES
    return max(_rate(compiled, times, VALUES * times), _rate(partial(np.exp, z), np.empty_like(z), VALUES))


def _memory(size: int) -> Array:
    """So many bytes, from the beginning of a page on: vectors that lie across two lines of a cache take two reads."""
    whole = np.ones(size + PAGE, np.uint8)
    start = -whole.ctypes.data % PAGE
    return whole[start : start + size]


def _reading(size: int) -> float:
    """Bytes in a second, where so many are read over and over again."""
    a = _much_memory()[:size].view(np.float64)
    times = 1 + SHORT // size
    return _rate(partial(_entry(probe_kernels.reading, a, times), a), times, size * times)


@cache
def _much_memory() -> Array:
    return _memory(_beyond_caches())


@cache
def _beyond_caches() -> int:
    """Twice the bytes of the largest cache, but not over a quarter of the memory."""
    texts = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    caches = [int(text[:-1]) << 10 for text in texts if text.endswith("K")]
    size = min(max([NO_CACHE, *(2 * cache for cache in caches)]), psutil.virtual_memory().available // 4)
    return size // PAGE * PAGE


def _calls(dtype: str, name: str) -> float:
    """Calls in a second that make the array for a result, and hand it and all else to a kernel that does nothing."""
    x, X, flat, losses = np.ones(3, dtype), np.ones((2, 3), dtype), np.ones(16, dtype), np.ones(1)
    kinds: dict[str, tuple[Any, ...]] = {
        "forward, 1 sample": (probe_kernels.empty_forward, flat, x, x),
        "forward, a batch": (probe_kernels.empty_forward, flat, X, X),
        "gradient, a batch": (probe_kernels.empty_gradient, flat, X, X, flat),
        "train, a batch": (probe_kernels.empty_train, flat, X, X, flat, 1, 0.1, 0.1, True, losses),
    }
    kernel, *arguments, result = kinds[name]
    empty_call = partial(_entry(kernel, *arguments, result), *arguments)
    empty, shape, real = np.empty, result.shape, result.dtype

    def call(_: Any) -> Any:
        out = empty(shape, real)
        empty_call(out)
        return out

    return _rate(call, None, 1)
