"""Calls of functions in fresh worker processes."""

from __future__ import annotations

__all__ = ["call_in_worker"]

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from pairbench.worker_processes import run_job
from pairbench.worker_protocol import CallJob, CallResult


def call_in_worker(
    function: Callable[..., Any],
    *arguments: Any,
    threads: int = 1,
    label: Any = None,
    variables: Mapping[str, str] | None = None,
) -> Any:
    """Call a module-level function in a fresh worker process, and return what it returns.

    The libraries use ``threads`` threads; ``variables`` are added to the environment. Raises WorkerDied, which names
    the ``label``, if the process ends or hangs; WorkerDisturbed; and WorkerRefused if no worker can work here.
    """
    with closing(run_job(CallJob(function, arguments, threads, label), variables)) as answers:
        (value,) = (answer.value for answer in answers if isinstance(answer, CallResult))
    return value
