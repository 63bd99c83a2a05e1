"""Worker process of the gate: ``python -m pairbench.gate_worker PACKAGE``, with one revision of PACKAGE on its path."""

from __future__ import annotations

import gc
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from pairbench import own_tree, threads, worker_processes
from pairbench.gate_protocol import (
    Build,
    BurnCpu,
    CallFunction,
    CheckThreads,
    CollectResults,
    Failure,
    PinToCpu,
    PrepareSample,
    TimeSample,
)
from pairbench.judged_samples import PreparedSample
from pairbench.workload import TimedCall, failure_reason


def with_delay(function: Callable[..., Any], steps: int | None) -> Callable[..., Any]:
    """The function, followed by an empty loop of ``steps`` iterations; with None the function itself."""
    if steps is None:
        return function
    delay = range(steps)

    def delayed(*arguments: Any) -> Any:
        result = function(*arguments)
        for _ in delay:
            pass
        return result

    return delayed


@dataclass
class WorkerState:
    """The calls that were built so far, by row, and the sample that was prepared last."""

    calls: dict[str, TimedCall] = field(default_factory=dict)
    sample: PreparedSample | None = None


def answer(request: Any, state: WorkerState) -> Any:
    """Carry out a request and return the answer."""
    match request:
        case CallFunction():
            return request.function(*request.arguments)
        case Build():
            call = request.workload.build()
            state.calls[request.row] = replace(call, function=with_delay(call.function, request.delay_steps))
            return None
        case PrepareSample():
            state.sample = PreparedSample(state.calls[request.row], request.plan)
            gc.collect(0)
            return None
        case TimeSample():
            assert state.sample is not None
            return state.sample.time()
        case CollectResults():
            assert state.sample is not None
            return state.sample.record()
        case PinToCpu():
            psutil.Process().cpu_affinity([request.cpu])
            return None
        case CheckThreads():
            threads.check_thread_counts()
            own_tree.check_origins()
            return None
        case BurnCpu():
            while True:
                pass
    raise TypeError(f"unknown request: {request!r}")


def main() -> None:
    """Answer requests until standard input ends."""
    send = worker_processes.connect_to_parent()
    state = WorkerState()
    home = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    package = import_module(sys.argv[1])
    # If the sources of this revision were removed, Python has imported another copy of the package.
    is_home = Path(str(package.__file__)).resolve().parents[1] == home.resolve()
    gc.disable()
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply = answer(request, state) if is_home else Failure(f"the sources in {home} were removed")
        except (Exception, SystemExit) as error:
            reply = Failure(failure_reason(error))
        send([reply])


if __name__ == "__main__":
    main()
