"""Measurements of functions that can be continued: in this process, and in fresh processes."""

from __future__ import annotations

import os
import pickle
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from random import Random
from typing import Protocol

from pairbench import environment, function_ratios, threads, timer
from pairbench.function_timer import Evidence, FunctionTimer, Reading
from pairbench.functions import CONTROL, REFERENCE, CompareError, FunctionSet
from pairbench.sequential_test import analysis_points
from pairbench.statistics import Interval
from pairbench.worker_processes import WorkerDied, WorkerRefused, run_job
from pairbench.worker_protocol import FunctionJob, FunctionTimes

TEMPORARY_FOLDERS = frozenset({"TMPDIR", "TEMP", "TMP", "PYTHONPATH"})
"""Variables that a worker process gets from its parent with other values."""
NOT_SENT = "its result cannot be sent from a fresh process; time it in this process, or return something that pickles"


class Measurement(Protocol):
    """A measurement that is continued until whoever asks knows enough."""

    @property
    def processes(self) -> Sequence[function_ratios.Samples]:
        """Samples of each process."""

    @property
    def evidence(self) -> Mapping[str, Sequence[Evidence | None]]:
        """Pairs of outputs of each function."""

    @property
    def failures(self) -> Mapping[str, str]:
        """What candidates that cannot be timed do."""

    @property
    def errors(self) -> Mapping[str, BaseException]:
        """Exceptions behind the failures."""

    @property
    def remarks(self) -> Mapping[str, Sequence[str]]:
        """What a reader should know of each function."""

    def ratio(self, over: str, under: str) -> Interval | None:
        """Time of ``over`` ÷ time of ``under`` by the samples so far; None without any.

        The intervals of all looks together contain the true ratio with 95 %.
        """

    def prepare(self) -> None:
        """Call the functions until there is evidence. Raises CompareError."""

    def extend(self) -> bool:
        """Take more samples, and return whether there were any to take within the budget. Raises CompareError."""


class InProcess:
    """A measurement in this process, which is looked at after growing numbers of blocks."""

    def __init__(self, functions: FunctionSet, budget: float, collection: bool, seed: int):
        self._timer = FunctionTimer(functions, collection, Random(seed))
        self._points = analysis_points(function_ratios.FIRST_LOOK)
        self._left = budget
        self._is_checked = self._is_warm = False
        self._looks, self._batch = 0, 1
        self.evidence, self.failures = self._timer.evidence, self._timer.failures
        self.errors, self.remarks = self._timer.errors, self._timer.remarks

    @property
    def processes(self) -> Sequence[function_ratios.Samples]:
        """The samples of this process."""
        return [self._timer.samples] if self._timer.blocks else []

    def ratio(self, over: str, under: str) -> Interval | None:
        """Time of ``over`` ÷ time of ``under``, at the confidence of the present look."""
        confidence = function_ratios.look_confidence(max(1, self._looks))
        return function_ratios.ratio(self.processes, over, under, confidence, self._batch)

    def prepare(self) -> None:
        """Call every function once."""
        if not self._is_checked:
            self._is_checked = True
            self._timer.check()

    def extend(self) -> bool:
        """Take blocks up to the next look, or until the budget is spent; at least one in all."""
        self.prepare()
        if not self._is_warm:
            self._is_warm = True
            self._timer.warm_up()
        if not self._timer.blocks:  # tells how long a block takes
            self._take(1)
            self._batch = function_ratios.smallest_batch(self._timer.block_seconds)
        elif self._timer.block_seconds > self._left:
            return False
        if self._timer.block_seconds <= self._left:
            self._take(next(self._points) * self._batch - self._timer.blocks)
        self._looks += 1
        return True

    def _take(self, blocks: int) -> None:
        start = timer.seconds_now()
        self._timer.extend(blocks, start + self._left)
        self._left -= timer.seconds_now() - start


class FreshProcesses:
    """A measurement in fresh processes, one after the other, which is looked at when all have ended."""

    def __init__(
        self, functions: FunctionSet, processes: int, budget: float, collection: bool, seed: int, timeout: float
    ):
        self._functions, self._seeds = functions, Random(seed).sample(range(2**32), processes)
        self._seconds, self._collection, self._timeout = budget / processes, collection, timeout
        functions.pickled()  # refuses at once what cannot be sent
        self.processes: list[dict[str, list[Reading]]] = []
        self.evidence: dict[str, list[Evidence | None]] = defaultdict(list)
        self.failures: dict[str, str] = {}
        self.errors: dict[str, BaseException] = {}
        self.remarks: dict[str, list[str]] = defaultdict(list)

    def ratio(self, over: str, under: str) -> Interval | None:
        """Time of ``over`` ÷ time of ``under``, over the processes."""
        return function_ratios.ratio(self.processes, over, under)

    def prepare(self) -> None:
        """Measure, because a function may crash or hang, and is therefore called in fresh processes only."""
        self.extend()

    def extend(self) -> bool:
        """Run all processes, the first time."""
        if self.processes:
            return False
        for seed in self._seeds:
            while not self._run(seed):
                pass
        return True

    def _run(self, seed: int) -> bool:
        """Time the functions in a process; False if a candidate has ended the process and is left out from now on."""
        job = FunctionJob(self._functions.pickled(), tuple(sys.path), self._seconds, self._collection, seed)
        answers = run_job(job, _variables(), silence_seconds=self._timeout, module="pairbench.function_worker")
        try:
            with closing(answers):
                for answer in answers:
                    if isinstance(answer, FunctionTimes):
                        self._add(answer)
        except WorkerRefused as refusal:
            raise CompareError(str(refusal)) from None
        except WorkerDied as end:
            arm = end.at.arm
            if arm in (REFERENCE, CONTROL):
                raise CompareError(f"the reference cannot be timed: {end}") from None
            self._leave_out(arm, f"cannot be timed: {end}")
            return False
        return True

    def _add(self, times: FunctionTimes) -> None:
        self.processes.append({arm: [Reading(*one) for one in readings] for arm, readings in times.samples.items()})
        for arm, pairs in times.evidence.items():
            self.evidence[arm] += [None if pair is None else Evidence(*pickle.loads(pair)) for pair in pairs]
        for arm, texts in times.remarks.items():
            self.remarks[arm] += [text for text in texts if text not in self.remarks[arm]]
        for arm, reason in times.failures.items():
            self._leave_out(arm, reason)

    def _leave_out(self, arm: str, reason: str) -> None:
        self.failures[arm] = reason
        self._functions = self._functions.without(arm)


def _variables() -> dict[str, str]:
    """The variables of this process, for functions that read some; the libraries' threads are limited to one."""
    kept_out = {*TEMPORARY_FOLDERS, *environment.LEFT_OUT, *threads.VARIABLES}
    return {name: value for name, value in os.environ.items() if name not in kept_out}
