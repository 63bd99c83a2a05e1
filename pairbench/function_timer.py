"""Times functions against each other in this process: checks them, warms them up, and takes blocks of samples."""

from __future__ import annotations

import copy
import gc
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from random import Random
from typing import Any, NamedTuple

from pairbench import interleave, timer, tracing
from pairbench.error_text import describe_error
from pairbench.function_arguments import ArgumentSource, digest, duplicate, require_no_cache
from pairbench.functions import CONTROL, REFERENCE, CompareError, FunctionSet, refuse_lazy_result
from pairbench.judged_samples import WARM_UP_SHARE
from pairbench.timer import Arguments
from pairbench.workload import WorkloadError

FEWEST_WARM_UPS, MOST_WARM_UPS, WARM_UP_SECONDS, STEADY = 2, 20, 0.2, 1.5
"""A function is called twice or more before it is timed: until a call takes less than ``STEADY`` times as long as the
fastest, or ``WARM_UP_SECONDS`` have passed."""
LOOP_CALLS, LOOP_READINGS = 200, 3
"""Most calls in a reading of the loop's own time, and readings of which the shortest counts."""
KEPT_EVIDENCE = 3
"""Pairs of outputs that are kept for each function: those of the first calls, and of the last."""
NOT_COPIED = "the arguments cannot be copied, so a change of them is not noticed"
CHANGES = "changes its arguments; give setup=, which returns new arguments for each call"


class Reading(NamedTuple):
    """A sample at a position of a block, after one of the arm ``before``: seconds per call, and those of the loop.

    ``gross`` includes the loop. ``empty`` is the time per call of a function in C that does nothing, ``bare`` that of
    the loop without a call. How much of an empty call belongs to the loop is unknown: the loop takes between the two.
    """

    block: int
    position: int
    before: str
    gross: float
    empty: float
    bare: float


class Evidence(NamedTuple):
    """An output of a function, and that of the reference for equal arguments. ``call`` says which call it was."""

    expected: Any
    output: Any
    call: str


class FunctionTimer:
    """Checks functions in this process, and times them in blocks.

    ``announce(arm, step)`` is called before each step. ``samples`` has the readings of each arm, ``evidence`` pairs of
    outputs, ``failures`` what each candidate that cannot be timed does, such as "raises …", and ``errors`` the
    exceptions behind them. ``remarks`` are what a reader should know of an arm.
    """

    def __init__(
        self,
        functions: FunctionSet,
        collection: bool,
        random: Random,
        announce: Callable[[str, str], object] = lambda arm, step: None,
    ):
        self._functions, self._calls, self._source = functions, functions.calls(), ArgumentSource(functions)
        self._collection, self._random, self._announce = collection, random, announce
        self.samples: dict[str, list[Reading]] = {arm: [] for arm in self._calls}
        self.evidence: dict[str, list[Evidence]] = defaultdict(list)
        self.failures: dict[str, str] = {}
        self.errors: dict[str, BaseException] = {}
        self.remarks: dict[str, list[str]] = defaultdict(list)
        self._expected: Any = None
        self._digest: bytes | None = None
        self._loops: dict[str, int] = {}
        self.blocks = 0
        self.block_seconds = 0.0

    @property
    def arms(self) -> list[str]:
        """The arms that have not failed, the reference and its control first."""
        return [arm for arm in self._calls if arm not in self.failures]

    def check(self) -> None:
        """Call every function with equal arguments, and keep the outputs. Raises CompareError if the reference fails.

        Without ``setup``, a function fails if it changes its arguments.
        """
        (drawn,) = self._source.draw(1)
        self._digest = None if self._source.is_fresh else digest(drawn)
        for arm in [name for name in self.arms if name != CONTROL]:
            with self._attempt(arm, "checking"):
                given = duplicate(drawn)
                if given is None:
                    given = drawn
                    self._remark(REFERENCE, NOT_COPIED)
                before = digest(given)
                output = self._calls[arm](*given)
                refuse_lazy_result(output)
                if digest(given) != before:
                    if not self._source.is_fresh:
                        raise WorkloadError(CHANGES)
                    self._remark(arm, "changes its arguments, which are new for each call")
                output = _kept(output)
                if arm == REFERENCE:
                    self._expected = output
                else:
                    self.evidence[arm].append(Evidence(self._expected, output, ""))

    def warm_up(self) -> None:
        """Compile and warm up the functions, and choose the number of calls in a sample. Raises CompareError."""
        with tracing.lifted():
            for arm in self.arms:
                with self._attempt(arm, "warming up"):
                    self._call_until_steady(arm)
                    self._loops[arm] = self._source.most_loops(self._estimate(arm))
                    if arm != CONTROL:
                        require_no_cache(self._calls[arm], self._source, self._random)

    def extend(self, blocks: int, deadline: float) -> int:
        """Take up to this number of blocks, no longer than until ``deadline`` by the clock; return their number.

        One block is taken in any case. Raises CompareError if the reference fails.
        """
        orders = interleave.balanced_orders(len(self.arms), self._random)
        taken = 0
        with tracing.lifted(), self._garbage_collection():
            while taken < blocks and (taken == 0 or timer.seconds_now() + self.block_seconds < deadline):
                start = timer.seconds_now()
                arms = self.arms
                failed = self._take_block([arms[index] for index in next(orders)], is_judged=taken == 0)
                self.block_seconds = timer.seconds_now() - start
                taken += 1
                if failed:  # the others go on
                    orders = interleave.balanced_orders(len(self.arms), self._random)
        if self._digest is not None and digest(self._source.draw(1)[0]) != self._digest:
            raise CompareError(f"one of the functions {CHANGES}")
        return taken

    def _take_block(self, order: list[str], is_judged: bool) -> bool:
        """Time each arm once, and return whether one has failed."""
        before = ""
        for position, arm in enumerate(order):
            with self._attempt(arm, "timing"):
                reading = self._sample(arm, self._loops[arm], is_judged)
                self.samples[arm].append(Reading(self.blocks, position, before, *reading))
            before = arm
        self.blocks += 1
        return any(arm in self.failures for arm in order)

    def _sample(self, arm: str, loops: int, is_judged: bool) -> tuple[float, float, float]:
        call = self._calls[arm]
        if loops > 1:
            for arguments in self._source.draw(max(1, loops // WARM_UP_SHARE)):
                call(*arguments)
        drawn = self._source.draw(loops)
        last = duplicate(drawn[-1]) if is_judged and self._source.is_fresh else None
        empty, bare = self._loop_seconds(drawn)
        gross, output = timer.time_calls(call, drawn)
        if is_judged:
            self._keep(arm, last, output)
        return gross, empty, bare

    def _keep(self, arm: str, arguments: Arguments | None, output: Any) -> None:
        """Keep the output of a timed call beside what the reference returns for the same arguments."""
        expected = self._expected
        if self._source.is_fresh:
            if arguments is None:
                return
            expected = _kept(self._calls[REFERENCE](*arguments))
        name = REFERENCE if arm == CONTROL else arm
        self.evidence[name][KEPT_EVIDENCE - 1 :] = [Evidence(expected, _kept(output), "in a timed call")]

    def _loop_seconds(self, drawn: list[Arguments]) -> tuple[float, float]:
        arguments = drawn[:LOOP_CALLS]
        empty = timer.EMPTY_FUNCTIONS.get(len(arguments[0]), "".format) if not self._functions.kwargs else "".format
        empty = self._functions.with_keywords(empty)
        readings = range(LOOP_READINGS)
        empty_seconds = min(timer.time_calls(empty, arguments)[0] for _ in readings)
        return empty_seconds, min(empty_seconds, *(timer.time_bare_loop(arguments) for _ in readings))

    def _call_until_steady(self, arm: str) -> None:
        start, fastest = time.perf_counter(), float("inf")
        for number in range(MOST_WARM_UPS):
            seconds, _ = timer.time_calls(self._calls[arm], self._source.draw(1))
            is_steady = seconds < STEADY * fastest
            fastest = min(fastest, seconds)
            enough = number + 1 >= FEWEST_WARM_UPS and is_steady
            if enough or (number > 0 and time.perf_counter() - start > WARM_UP_SECONDS):
                return

    def _estimate(self, arm: str) -> float:
        if self._source.is_fresh:  # drawing may take long
            return max(1e-9, min(timer.time_calls(self._calls[arm], self._source.draw(1))[0] for _ in range(5)))
        try:
            return timer.estimate_seconds(self._calls[arm], self._source.draw)
        except RuntimeError as error:
            if "clock" in str(error):
                raise CompareError(f"nothing can be timed: {error}") from error
            raise

    def _remark(self, arm: str, text: str) -> None:
        if text not in self.remarks[arm]:
            self.remarks[arm].append(text)

    @contextmanager
    def _attempt(self, arm: str, step: str) -> Iterator[None]:
        """Note a failure of a candidate; raise CompareError for one of the reference.

        What the function prints goes to standard error, and cannot mix with results.
        """
        self._announce(arm, step)
        try:
            with redirect_stdout(sys.stderr):
                yield
        except (Exception, SystemExit) as error:
            if isinstance(error, CompareError | tracing.MonitoringError):
                raise  # concerns all functions
            reason = str(error) if isinstance(error, WorkloadError) else f"raises {describe_error(error)}"
            if arm in (REFERENCE, CONTROL):
                raise CompareError(f"the reference {reason}") from error
            self.failures[arm], self.errors[arm] = reason, error

    @contextmanager
    def _garbage_collection(self) -> Iterator[None]:
        was_enabled = gc.isenabled()
        gc.collect()
        (gc.enable if self._collection else gc.disable)()
        try:
            yield
        finally:
            (gc.enable if was_enabled else gc.disable)()


def _kept(output: Any) -> Any:
    """A copy of an output, because the function may use its memory again."""
    try:
        return copy.deepcopy(output)
    except Exception:
        return output
