"""Counts the bytecode instructions that a call executes, as the interpreter reports them to a tracer.

The count is exact: it depends on neither the time nor the machine. It differs between versions of Python, which compile
the same source to different instructions. The interpreter does not report the instruction that begins a function.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from pairbench import tracing
from pairbench.timer import Arguments
from pairbench.workload import Workload, WorkloadError

WARM_UP_CALLS = 2
"""Calls before the counted one. The first calls may compile code or fill workspaces."""


def count_bytecode(function: Callable[..., object], arguments: Arguments) -> int:
    """The number of bytecode instructions of ``function(*arguments)``, those of all Python functions it calls included.

    Raises MonitoringError if a tool of ``sys.monitoring`` is in use.
    """
    with tracing.lifted():
        # Since Python 3.12, a tracer misses instructions of functions that ran before.
        count = _count_events if sys.version_info >= (3, 12) else _count_traced
        return count(function, arguments)


def count_call(workload: Workload, seed: int) -> int:
    """In a worker process: the number of bytecode instructions of one call, whose arguments ``seed`` gives.

    It is counted twice, each time on a fresh build. Raises WorkloadError if the two counts differ.
    """
    first, second = (_count_fresh_call(workload, seed) for _ in range(2))
    if first != second:
        raise WorkloadError(f"two counts of the same call differ, {first} and {second}")
    return first


def _count_fresh_call(workload: Workload, seed: int) -> int:
    call = workload.build()
    *earlier, counted = call.draw(seed, WARM_UP_CALLS + 1)
    for arguments in earlier:
        call.function(*arguments)
    return count_bytecode(call.function, counted)


def _count_traced(function: Callable[..., object], arguments: Arguments) -> int:
    count = 0

    def note(frame: FrameType, event: str, value: Any) -> Any:
        nonlocal count
        if event == "opcode":
            count += 1
        return note

    def enter(frame: FrameType, event: str, value: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return note

    sys.settrace(enter)
    try:
        function(*arguments)
    finally:
        sys.settrace(None)
    return count


def _count_events(function: Callable[..., object], arguments: Arguments) -> int:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]  # since Python 3.12
    tool, event = monitoring.PROFILER_ID, monitoring.events.INSTRUCTION
    own = _count_events.__code__
    count = 0

    def note(code: CodeType, offset: int) -> None:
        nonlocal count
        if code is not own:
            count += 1

    monitoring.use_tool_id(tool, "pairbench")
    try:
        monitoring.register_callback(tool, event, note)
        monitoring.set_events(tool, event)
        try:
            function(*arguments)
        finally:
            monitoring.set_events(tool, 0)
            monitoring.register_callback(tool, event, None)
    finally:
        monitoring.free_tool_id(tool)
    return count
