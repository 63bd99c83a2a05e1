"""The probes: measurements of the highest rates of the machine, on one thread.

A probe runs repeatedly in several fresh processes, and its shortest time counts, because disturbances only make it
longer. Of several implementations of the same work, the fastest counts, because no backend may be faster than the
limit. Matrix products are therefore measured with the BLAS libraries of NumPy and SciPy and, if it is installed, with
PyTorch; exponentials are measured with NumPy and with ``numba_simd``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numba import typeof

from bench.cases import Case
from bench.roofline import probe_kernels
from bench.roofline.lower_bound import MachineLimits, call_kind
from impls import Array
from impls._numba import entry_point
from pairbench import machine, timer
from pairbench.progress import Progress
from pairbench.worker_calls import call_in_worker

PROCESSES = 3
SAMPLES = 20
"""Number of samples per probe."""

SQUARES = (512, 1024)
"""Sizes of the square matrices whose products are measured to find the peak rate."""

BLOCK = 64
"""Number of rows of a block: a matrix product may be faster if the samples are divided into blocks."""

MIN_WORK = 1 << 20
"""A probe of fewer operations, exponentials or bytes than this is repeated within one compiled call."""

VALUES = 1024
"""Length of the array whose exponentials are measured: short enough for the first-level cache."""

SIZES = tuple(size << k for k in range(14, 27) for size in (2, 3))
"""Sizes in bytes, from 32 kB to 200 MB, of the arrays that are read repeatedly. One larger than any cache is added."""

PAGE = 4096
MIN_BYTES_BEYOND_CACHES = 1 << 28
"""The least size, in bytes, of an array that counts as larger than any cache."""

Call = Callable[[Any], object]


def measure_limits(cases: Sequence[Case], progress: Progress) -> MachineLimits:
    """Measure the limits for some cases in several fresh processes. Raises WorkerRefused if no worker can run."""
    progress.start(PROCESSES)
    measurements: list[MachineLimits] = []
    for number in range(PROCESSES):
        progress.stage(f"measuring the roofline, process {number + 1} of {PROCESSES}")
        measurements.append(call_in_worker(probe_machine, tuple(cases)))
        progress.advance()
    best, *others = measurements
    for other in others:
        best = best.better(other)
    return best


def probe_machine(cases: Sequence[Case]) -> MachineLimits:
    """Measure the limits for some cases in this process."""
    dtypes = sorted({case.dtype for case in cases})
    products = {(dtype, f"{n} × {n} × {n}"): _product_rate(dtype, n, n, n) for dtype in dtypes for n in SQUARES}
    products |= {
        (case.dtype, _products_name(case)): _case_products_rate(case) for case in cases if _batch_size(case) > 1
    }
    return MachineLimits(
        products=products,
        exponentials={dtype: _exponential_rate(dtype) for dtype in dtypes},
        reading={size: _reading_rate(size) for size in (*SIZES, _beyond_caches())},
        calls={(case.dtype, call_kind(case)): _call_rate(case.dtype, call_kind(case)) for case in cases},
    )


def _products_name(case: Case) -> str:
    """The name of the matrix products of a case. ``train`` has the same products as ``gradient``."""
    products = "forward" if case.operation == "forward" else "gradient"
    return f"{products} {case.network}, batch {_batch_size(case)}"


def _batch_size(case: Case) -> int:
    """The number of samples that pass through the layers together."""
    return case.batches or case.batch


def _rate(call: Call, argument: Any, amount: float) -> float:
    """The highest rate, in units of work per second, if one ``call(argument)`` does ``amount`` units of work."""
    seconds = timer.estimate_seconds(call, lambda loops: [(argument,)] * loops)
    arguments = [(argument,)] * timer.loops_per_sample(seconds)
    return amount / min(timer.time_calls(call, arguments)[0] for _ in range(SAMPLES))


def _compiled(kernel: Any, *arguments: Any) -> Callable[..., Any]:
    """The compiled kernel for these arguments, called without Numba's dispatcher, as ``numba_simd`` calls its own."""
    return entry_point(kernel, *map(typeof, arguments))


def _case_products_rate(case: Case) -> float:
    """Operations per second of all matrix products of a case, on the whole batch or in blocks: the higher rate."""
    rates = []
    for samples in {_batch_size(case), min(_batch_size(case), BLOCK)}:
        shapes = list(_shapes(case, samples))
        operations = [rows * inner * columns for rows, inner, columns in shapes]
        seconds = [count / _product_rate(case.dtype, *shape) for count, shape in zip(operations, shapes, strict=True)]
        rates.append(sum(operations) / sum(seconds))
    return max(rates)


def _shapes(case: Case, samples: int) -> Iterator[tuple[int, int, int]]:
    """Rows, inner length and columns of the matrix products of a case.

    Each layer has a product in the forward pass. A gradient adds a product for the gradient of the weights and, except
    in the first layer, one for back-propagation.
    """
    for layer, (n, m) in enumerate(case.network.shapes):
        yield samples, n, m
        if case.operation != "forward":
            yield n, samples, m
            if layer > 0:
                yield samples, m, n


@cache
def _product_rate(dtype: str, rows: int, inner: int, columns: int) -> float:
    """Operations per second of a matrix product with the fastest library."""
    rng = np.random.default_rng(0)
    A, B = (rng.normal(size=shape).astype(dtype) for shape in ((rows, inner), (inner, columns)))
    C = np.empty((rows, columns), dtype)
    operations = rows * inner * columns
    times = 1 + MIN_WORK // operations
    compiled = partial(_compiled(probe_kernels.products, A, B, C, times), A, B, C)
    rates = [_rate(compiled, times, operations * times), _rate(partial(np.dot, A, B), C, operations)]
    if find_spec("torch") is not None:
        import torch

        a, b = torch.from_numpy(A), torch.from_numpy(B)
        rates.append(_rate(lambda out: torch.mm(a, b, out=out), torch.from_numpy(C), operations))
    return max(rates)


def _exponential_rate(dtype: str) -> float:
    """Exponentials per second."""
    z = _page_aligned(VALUES * np.dtype(dtype).itemsize).view(dtype)
    z[:] = np.random.default_rng(0).normal(size=VALUES)
    compiled, times = partial(_compiled(probe_kernels.exponentials, z, 1), z), 1 + MIN_WORK // VALUES
    return max(_rate(compiled, times, VALUES * times), _rate(partial(np.exp, z), np.empty_like(z), VALUES))


def _page_aligned(size: int) -> Array:
    """An array of ``size`` bytes that begins at a page boundary, because reads across two cache lines take longer."""
    whole = np.ones(size + PAGE, np.uint8)
    start = -whole.ctypes.data % PAGE
    return whole[start : start + size]


def _reading_rate(size: int) -> float:
    """Bytes per second at which an array of ``size`` bytes is read repeatedly."""
    a = _shared_buffer()[:size].view(np.float64)
    times = 1 + MIN_WORK // size
    return _rate(partial(_compiled(probe_kernels.reading, a, times), a), times, size * times)


@cache
def _shared_buffer() -> Array:
    """One large array for all reading probes, of which each reads the first bytes."""
    return _page_aligned(_beyond_caches())


@cache
def _beyond_caches() -> int:
    """A size in bytes that no cache holds: twice the largest cache, but at most a quarter of the available memory."""
    texts = [path.read_text().strip() for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")]
    caches = [int(text[:-1]) << 10 for text in texts if text.endswith("K")]
    size = min(max([MIN_BYTES_BEYOND_CACHES, *(2 * cache for cache in caches)]), machine.memory_available() // 4)
    return size // PAGE * PAGE


def _call_rate(dtype: str, name: str) -> float:
    """Calls per second of a function that allocates the result array and passes all arguments to an empty kernel."""
    x, X, flat, losses = np.ones(3, dtype), np.ones((2, 3), dtype), np.ones(16, dtype), np.ones(1)
    kinds: dict[str, tuple[Any, ...]] = {
        "forward, 1 sample": (probe_kernels.empty_forward, flat, x, x),
        "forward, a batch": (probe_kernels.empty_forward, flat, X, X),
        "gradient, a batch": (probe_kernels.empty_gradient, flat, X, X, flat),
        "train, a batch": (probe_kernels.empty_train, flat, X, X, flat, 1, 0.1, 0.1, True, losses),
    }
    kernel, *arguments, result = kinds[name]
    empty_call = partial(_compiled(kernel, *arguments, result), *arguments)
    allocate, shape, result_dtype = np.empty, result.shape, result.dtype

    def call(_: Any) -> Any:
        out = allocate(shape, result_dtype)
        empty_call(out)
        return out

    return _rate(call, None, 1)
