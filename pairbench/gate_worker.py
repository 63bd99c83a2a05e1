"""A measuring process of the gate: ``python -m pairbench.gate_worker``, with one revision's ``impls`` on the path.

It imports of ``impls`` what the contract names, and nothing else: the revision may be an old one. So nothing here may
import what does, but for ``bench.workload``, which is handed all that it works on.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

import impls
from bench.proof.error_text import describe_error
from bench.workload import timed_call
from pairbench import channel, threads
from pairbench.gate_protocol import (
    BackendDescription,
    Build,
    BurnCpu,
    CallOnce,
    CallOutcome,
    CheckThreads,
    DescribeBackend,
    Failure,
    ListBackends,
    PinToCpu,
    TimeSample,
)
from pairbench.timer import time_calls

WARM = 10
"""One part in so many of a stretch's calls is made before it, uncounted: other processes had the caches."""


@dataclass(frozen=True)
class ReadyCall:
    """A model and the call of it that is timed."""

    model: Any
    operation: str
    function: Callable[[Any], Any]
    argument: Any


def describe_backend(request: DescribeBackend) -> BackendDescription:
    """A backend of this revision."""
    networks = [impls.Network(sizes, hidden=h, output=o, loss=loss) for sizes, h, o, loss in request.networks]
    try:
        backend = impls.load(request.name)
        lacks = tuple(tuple(backend.lacks(network)) for network in networks)
        return BackendDescription(request.name, tuple(map(str, backend.dtypes)), "", False, lacks)
    except impls.BackendNotInstalled as error:
        return BackendDescription(request.name, (), str(error), False, ())
    except impls.BackendError as error:
        return BackendDescription(request.name, (), str(error), True, ())
    except Exception as error:  # what a backend says of itself may be anything
        return BackendDescription(
            request.name, (), f"{request.name} does not say what it is: {describe_error(error)}", True, ()
        )


def build_call(request: Build) -> ReadyCall:
    """A model as the request says."""
    network = impls.Network(request.layer_sizes, hidden=request.hidden, output=request.output, loss=request.loss)
    model = impls.load(request.backend).build(network, request.parameters, dtype=request.dtype)
    function, argument = timed_call(request, model, request)  # type: ignore[arg-type]
    return ReadyCall(model, request.operation, with_delay(function, request.steps), argument)


def with_delay(function: Callable[[Any], Any], steps: int | None) -> Callable[[Any], Any]:
    """The function with an empty loop of so many steps after its work; with None the function itself."""
    if steps is None:
        return function
    delay = range(steps)

    def planted(argument: Any) -> Any:
        result = function(argument)
        for _ in delay:
            pass
        return result

    return planted


def call_once(ready: ReadyCall) -> CallOutcome:
    """One call, and what it did to the parameters."""
    if ready.operation != "train":
        return CallOutcome(ready.function(ready.argument))
    before = ready.model.parameters()
    return CallOutcome(ready.function(ready.argument), before, ready.model.parameters())


def answer(request: Any, rows: dict[str, ReadyCall]) -> Any:
    """Do what a request says."""
    match request:
        case ListBackends():
            return dict(impls.origins())
        case DescribeBackend():
            return describe_backend(request)
        case Build():
            rows[request.row] = build_call(request)
            return None
        case TimeSample():
            ready = rows[request.row]
            for _ in range(max(1, request.loops // WARM) if request.loops > 1 else 0):
                ready.function(ready.argument)
            gc.collect(0)
            return time_calls(ready.function, ready.argument, request.loops)
        case CallOnce():
            return call_once(rows[request.row])
        case PinToCpu():
            psutil.Process().cpu_affinity([request.cpu])
            return None
        case CheckThreads():
            threads.check_thread_counts()
            return None
        case BurnCpu():
            while True:
                pass
    raise TypeError(f"no request: {request!r}")


def main() -> None:
    """Answer requests until there are no more."""
    send = channel.connect_to_parent()
    rows: dict[str, ReadyCall] = {}
    home = Path(os.environ["PYTHONPATH"].split(os.pathsep)[0])
    # Where they are not, those of another revision were imported in their place.
    is_home = Path(impls.__file__).resolve().parents[1] == home.resolve()
    gc.disable()
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            reply = answer(request, rows) if is_home else Failure(f"the sources are gone from {home}")
        except (Exception, SystemExit) as error:
            reply = Failure(describe_error(error))
        send([reply])


if __name__ == "__main__":
    main()
