"""Compares functions: the library's entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pairbench.comparison import Comparison


def compare(
    reference: Callable[..., Any],
    candidates: Mapping[str, Callable[..., Any]],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    setup: Callable[[], tuple[Any, ...]] | None = None,
    processes: int = 1,
    budget: float = 5.0,
    check: Callable[[Any, Any], object] | None = None,
    rtol: float = 1e-9,
    atol: float = 0.0,
    collection: bool = False,
    timeout: float = 60.0,
) -> Comparison:
    """Time candidates against a reference, and compare their results with the reference's.

    Every call is ``function(*args, **kwargs)``. ``setup``, in place of ``args``, returns a tuple of new arguments for
    each call, untimed; a function that changes its arguments needs it.

    ``processes``: 1 times in this process, a larger number in that many fresh processes, which import the functions.
    ``budget``: seconds for all timing; it ends earlier as soon as every interval is within 1 % of its estimate.
    ``check(reference_output, output)`` says whether results are equal: it returns False or raises AssertionError if
    they are not. Without it, numbers may differ by ``atol + rtol * abs(reference)``, and all else must be equal.
    ``collection``: whether Python's garbage collector is on during the timing. ``timeout``: seconds after which a
    function in a fresh process counts as hung.

    A candidate that raises, or has another result, gets a row that says so, and the others are timed. Raises
    CompareError if nothing can be compared: the reference fails, an argument is wrong, a function is asynchronous or a
    generator, or cannot be imported in a fresh process.
    """
    raise NotImplementedError
