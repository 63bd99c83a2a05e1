"""Worker process of the gate: ``python -m pairbench.gate_worker PACKAGE``, with one revision of PACKAGE on its path."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

from pairbench import background_work, cache_check, own_tree, threads, worker_connection
from pairbench.background_work import BackgroundWork
from pairbench.function_watch import FunctionWatch
from pairbench.gate_protocol import (
    Build,
    BurnCpu,
    CallFunction,
    CheckCache,
    CheckThreads,
    CollectResults,
    Failure,
    ListLibraries,
    PrepareSample,
    TimeSample,
)
from pairbench.judged_samples import PreparedSample
from pairbench.threads import ThreadWatch
from pairbench.workload import TimedCall, WorkloadError, failure_reason


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
    """The calls that were built so far, by row, the row and the sample that were prepared last, and the watches.

    ``libraries`` are those that were loaded when the last call was built; at that time ``imported`` modules had been
    imported. ``disturbing`` has the rows whose threads compute while other processes are timed.
    """

    functions: FunctionWatch
    libraries: ThreadWatch = field(init=False)
    imported: int = 0
    background: BackgroundWork = field(default_factory=BackgroundWork)
    calls: dict[str, TimedCall] = field(default_factory=dict)
    row: str = ""
    sample: PreparedSample | None = None
    disturbing: set[str] = field(default_factory=set)

    def build(self, request: Build) -> None:
        """Build the call of a row. Raises WorkloadError if that changes what no call may change."""
        self.functions.extend(type(request.workload).__module__.partition(".")[0])
        call = request.workload.build()
        self.calls[request.row] = replace(call, function=with_delay(call.function, request.delay_steps))
        if len(sys.modules) != self.imported:  # else no library was loaded either
            self.libraries, self.imported = ThreadWatch(1), len(sys.modules)
        self.require_unchanged(request.row)
        self.functions.extend()

    def prepare(self, request: PrepareSample) -> None:
        """Prepare a sample of a row. Raises WorkloadError if the row's threads disturb others."""
        if request.row in self.disturbing:
            raise WorkloadError(background_work.REASON)
        self.row = request.row
        self.sample = PreparedSample(self.calls[request.row], request.plan)
        gc.collect(0)

    def wait(self, next_request: Callable[[], Any]) -> Any:
        """The next request. While this process waits, the others are timed, so that no thread should compute."""
        self.background.begin()
        start = time.perf_counter()
        request = next_request()
        owner = self.background.end(None, time.perf_counter() - start)
        if owner is not None:
            self.disturbing.add(owner)
        return request

    def require_unchanged(self, row: str) -> None:
        """Note new threads of a row.

        Raises WorkloadError if a function was replaced, or a library uses more threads; both are put back.
        """
        self.background.note_new_threads(row)
        self.functions.require_unchanged()
        self.libraries.require_unchanged()


def answer(request: Any, state: WorkerState) -> Any:
    """Carry out a request and return the answer."""
    match request:
        case CallFunction():
            return request.function(*request.arguments)
        case Build():
            state.build(request)
            return None
        case CheckCache():
            cache_check.check(state.calls[request.row], Random())
            state.require_unchanged(request.row)
            return None
        case PrepareSample():
            state.prepare(request)
            return None
        case TimeSample():
            assert state.sample is not None
            return state.sample.time()
        case CollectResults():
            assert state.sample is not None
            record = state.sample.record()
            state.require_unchanged(state.row)
            return record
        case CheckThreads():
            threads.check_thread_counts()
            own_tree.check_origins()
            return None
        case ListLibraries():
            return own_tree.installed_modules()
        case BurnCpu():
            while True:
                pass
    raise TypeError(f"unknown request: {request!r}")


def reply_to(request: Any, state: WorkerState) -> Any:
    """The answer to a request, or a Failure. Threads that a failing row has started are noted as its own."""
    try:
        return answer(request, state)
    except (Exception, SystemExit) as error:
        state.background.note_new_threads(getattr(request, "row", state.row))
        return Failure(failure_reason(error))


def main() -> None:
    """Answer requests until standard input ends."""
    send = worker_connection.connect_to_parent()
    functions = FunctionWatch("pairbench")  # before the package, whose import may replace some
    functions.add_audit_hook()
    home = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    package = import_module(sys.argv[1])
    # If the sources of this revision were removed, Python has imported another copy of the package.
    is_home = Path(str(package.__file__)).resolve().parents[1] == home.resolve()
    functions.extend(package.__name__)
    serve(send, functions, None if is_home else Failure(f"the sources in {home} were removed"))


def serve(send: Callable[[object], None], functions: FunctionWatch, refusal: Failure | None) -> None:
    """Answer requests until standard input ends, each with the refusal if there is one."""
    state = WorkerState(functions)
    gc.disable()
    while True:
        try:
            request = state.wait(partial(pickle.load, sys.stdin.buffer))
        except EOFError:
            return
        send([refusal or reply_to(request, state)])


if __name__ == "__main__":
    main()
