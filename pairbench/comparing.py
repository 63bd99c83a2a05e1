"""Compares functions: the library's entry point."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from pairbench import equality, function_ratios, machine, time_patterns
from pairbench.comparison import Comparison, Row
from pairbench.function_measurement import NOT_SENT, FreshProcesses, InProcess, Measurement
from pairbench.functions import CONTROL, REFERENCE, CompareError, FunctionSet, check_numbers, display_name
from pairbench.statistics import Interval
from pairbench.tracing import MonitoringError

Judge = Callable[[Any, Any], str]
"""Says how an output differs from the expected one; empty if it does not."""

PRECISION = 0.01
"""Measuring ends when the ends of all intervals are closer to their estimates than this share."""


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
    ``budget``: seconds for all timing; in this process it ends earlier if the ends of all intervals are within 1 % of
    their estimates. ``check(reference_output, output)`` says whether results are equal: it returns False or raises
    AssertionError if they are not. Without it, numbers may differ by ``atol + rtol * abs(reference)``, and all else
    must be equal. ``collection``: whether Python's garbage collector is on during the timing. ``timeout``: seconds
    without an answer, such as in a compilation, after which a fresh process counts as hung.

    A candidate that raises, or has another result, gets a row that says so, and the others are timed. Raises
    CompareError if nothing can be compared: the reference fails, an argument is wrong, a function is asynchronous or a
    generator, or cannot be imported in a fresh process.
    """
    functions = FunctionSet.of(reference, candidates, args, kwargs, setup)
    measurement = start(functions, processes, budget, collection, timeout)
    judge = (
        partial(equality.difference, rtol=rtol, atol=atol)
        if check is None
        else partial(equality.check_difference, check)
    )
    measure(measurement, functions)
    return describe(measurement, functions, judge, collection)


def start(
    functions: FunctionSet, processes: int, budget: float, collection: bool, timeout: float, seed: int | None = None
) -> Measurement:
    """A measurement that has not begun. Raises CompareError."""
    check_numbers(processes, budget, timeout)
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    if processes == 1:
        return InProcess(functions, budget, collection, seed)
    return FreshProcesses(functions, processes, budget, collection, seed, timeout)


def measure(measurement: Measurement, functions: FunctionSet) -> None:
    """Measure until the intervals are precise or the budget is spent. Raises CompareError."""
    try:
        while measurement.extend() and not _is_precise(measurement, functions):
            pass
    except MonitoringError as error:
        raise CompareError(f"nothing can be timed: {error}") from error


def judge_of(check: equality.Check | None, rtol: float, atol: float) -> Judge:
    """The judge by the user's check, or by the tolerances without one."""
    if check is not None:
        return partial(equality.check_difference, check)
    return partial(equality.difference, rtol=rtol, atol=atol)


def find_difference(measurement: Measurement, arm: str, judge: Judge) -> str:
    """How the outputs of a function differ from the expected ones, in one line; empty if none does."""
    for pair in measurement.evidence.get(arm, ()):
        if pair is None:
            return NOT_SENT
        if found := judge(pair.expected, pair.output):
            return f"{pair.call}, {found}" if pair.call else found
    return ""


def inequality(arm: str) -> str:
    """What a difference means, as a sentence without its subject."""
    return "returns another result for equal arguments" if arm == REFERENCE else "is not equal to the reference"


def describe(measurement: Measurement, functions: FunctionSet, judge: Judge, collection: bool) -> Comparison:
    """The measurement so far as a comparison. A candidate that is not equal to the reference has no time."""
    name = display_name(functions.functions[REFERENCE])
    reference = replace(_row(measurement, REFERENCE, judge, ""), name=name)
    blocked = "has no speedup, because the reference has no time" if reference.reason or reference.difference else ""
    candidates = [candidate for candidate in functions.functions if candidate != REFERENCE]
    processes = measurement.processes
    return Comparison(
        reference=reference,
        rows=tuple(_row(measurement, candidate, judge, blocked) for candidate in candidates),
        control=measurement.ratio(REFERENCE, CONTROL),
        processes=max(1, len(processes)),
        blocks=sum(len(samples[REFERENCE]) for samples in processes),
        collection=collection,
        samples=tuple(
            {arm: tuple(map(function_ratios.own_seconds, readings)) for arm, readings in samples.items()}
            for samples in processes
        ),
        machine=machine.describe(),
    )


def interval(measurement: Measurement, over: str, under: str) -> Interval | None:
    """Time of ``over`` ÷ time of ``under`` by the samples so far; None if nothing can be told."""
    if any(function_ratios.too_short(measurement.processes, arm) for arm in (over, under)):
        return None
    return measurement.ratio(over, under)


def _row(measurement: Measurement, arm: str, judge: Judge, blocked: str) -> Row:
    """The row of an arm, without a time if it fails, differs, is too short, or is ``blocked`` for this reason."""
    processes = measurement.processes
    difference = find_difference(measurement, arm, judge)
    reason = measurement.failures.get(arm, "") or function_ratios.too_short(processes, arm) or blocked
    if difference or reason:
        return Row(arm, None, None, reason, difference, tuple(measurement.remarks.get(arm, ())))
    patterns = time_patterns.remarks(processes[0], arm) if processes and processes[0].get(arm) else []
    return Row(
        arm,
        function_ratios.seconds(processes, arm),
        None if arm == REFERENCE else interval(measurement, REFERENCE, arm),
        remarks=(*measurement.remarks.get(arm, ()), *patterns),
    )


def _is_precise(measurement: Measurement, functions: FunctionSet) -> bool:
    arms = [CONTROL, *(name for name in functions.functions if name != REFERENCE)]
    arms = [arm for arm in arms if arm not in measurement.failures]
    return all(
        found is not None
        and found.low is not None
        and found.high is not None
        and found.low * (1 + PRECISION) >= found.estimate >= found.high / (1 + PRECISION)
        for found in (interval(measurement, REFERENCE, arm) for arm in arms)
    )
