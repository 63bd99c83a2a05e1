"""Keeps tracers and profilers, such as that of coverage, away from timed calls, which they would slow down."""

from __future__ import annotations

__all__ = ["MonitoringError", "lifted", "refuse_monitoring"]

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class MonitoringError(RuntimeError):
    """A tool of ``sys.monitoring`` is in use; its instructions stay in the code, so it cannot be lifted."""


def lift() -> None:
    """Remove the tracers and profilers of this process. Raises MonitoringError."""
    refuse_monitoring()
    for module in (sys, threading):
        module.settrace(None)
        module.setprofile(None)


@contextmanager
def lifted() -> Iterator[None]:
    """Remove the tracer and the profiler of this thread, and put them back at the end. Raises MonitoringError."""
    refuse_monitoring()
    tracer, profiler = sys.gettrace(), sys.getprofile()
    sys.settrace(None)
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
        sys.setprofile(profiler)


def refuse_monitoring() -> None:
    """Raise MonitoringError if a tool of ``sys.monitoring`` is in use."""
    monitoring: Any = getattr(sys, "monitoring", None)  # since Python 3.12
    tools = [] if monitoring is None else [tool for number in range(6) if (tool := monitoring.get_tool(number))]
    if tools:
        raise MonitoringError(
            f"{' and '.join(tools)} uses sys.monitoring, which slows the timed code; leave it out "
            "(coverage: COVERAGE_CORE=ctrace)"
        )
