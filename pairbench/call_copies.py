"""Copies of a process that make different numbers of calls, for a program such as Valgrind that counts whole processes.

The copies (``os.fork``) begin alike, so the difference of their counts is that of the calls which only one of them
makes. Starting Python under Valgrind takes seconds, which a copy does not.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from pairbench import timer
from pairbench.timer import Arguments
from pairbench.workload import TimedCall, Workload, WorkloadError


def call_in_copies(workload: Workload, seed: int, numbers: Sequence[int]) -> list[int]:
    """In a worker process: make these numbers of calls, each in a copy of the process, and return the copies' ids.

    The call is the one that ``workload`` builds; ``seed`` gives its arguments, the same in all copies. Raises
    WorkloadError if a copy fails.
    """
    call = workload.build()
    arguments = call.draw(seed, max(numbers))
    _call_in_copy(call, arguments[:1])  # a call that crashes should not end this process
    timer.time_calls(call.function, arguments)  # in its first calls, the interpreter adapts its code
    return [_call_in_copy(call, arguments[:number]) for number in numbers]


def _call_in_copy(call: TimedCall, arguments: Sequence[Arguments]) -> int:
    if not (copy := os.fork()):
        status = 1
        try:
            timer.time_calls(call.function, arguments)
            status = 0
        finally:
            os._exit(status)
    code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
    if code:
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        raise WorkloadError(f"a process that makes the call {how}")
    return copy
