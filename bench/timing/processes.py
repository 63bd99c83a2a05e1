"""Asking a fresh worker process to do one job."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import IO

from bench.timing import threads
from bench.timing.messages import At, Compile, Done, Message, Refused, Time

ROOT = Path(__file__).parents[2]

SILENCE = 300.0
"""Seconds without a word from a worker after which it is taken for hung."""


class WorkerRefused(RuntimeError):
    """No worker can do its job; the text says why in one line."""


class WorkerDied(Exception):
    """A worker ended or hung before its job was done; ``at`` is what it was dealing with."""

    def __init__(self, at: At, how: str):
        super().__init__(f"its process {how} while {at.step}")
        self.at = at


def ask(
    job: Time | Compile, variables: Mapping[str, str] | None = None, silence: float = SILENCE
) -> Generator[Message]:
    """Answers of a fresh worker to a job, the last is ``Done``; ``variables`` go into its environment.

    The worker is gone when the iterator is closed. Raises WorkerDied, or WorkerRefused where it is no arm's fault.
    """
    # The worker is to run this very code, and not what the current folder may hold.
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**threads.environment(count=job.threads), "PYTHONPATH": path, **(variables or {})}
    command = [sys.executable, "-P", "-m", "bench.timing.worker"]
    with (
        tempfile.TemporaryFile() as stderr,
        Popen(command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=environment) as process,
    ):
        try:
            yield from _answers(process, job, stderr, silence)
        finally:
            process.kill()


def _answers(process: Popen[bytes], job: Time | Compile, stderr: IO[bytes], silence: float) -> Generator[Message]:
    assert process.stdin is not None
    assert process.stdout is not None
    inbox: SimpleQueue[Message | None] = SimpleQueue()
    Thread(target=_receive, args=(process.stdout, inbox), daemon=True).start()
    with suppress(BrokenPipeError), process.stdin as stdin:  # one that died says so at the other end
        pickle.dump(job, stdin)
    at = None
    while True:
        try:
            message = inbox.get(timeout=silence)
        except Empty:
            message = None
        if message is None:
            how = _ending(process, silence)
            if at is None:
                raise WorkerRefused(f"a measuring process {how} before it began: {_last_line(stderr)}")
            raise WorkerDied(at, how)
        if isinstance(message, Refused):
            raise WorkerRefused(message.reason)
        if isinstance(message, At):
            at = message
            continue
        yield message
        if isinstance(message, Done):
            return


def _receive(stream: IO[bytes], inbox: SimpleQueue[Message | None]) -> None:
    """Put what arrives into the inbox, then None: at the end, or at a pickle that was cut off."""
    try:
        while True:
            inbox.put(pickle.load(stream))
    except (EOFError, pickle.UnpicklingError, OSError, ValueError):
        inbox.put(None)


def _ending(process: Popen[bytes], silence: float) -> str:
    try:
        status = process.wait(timeout=1)
    except TimeoutExpired:
        return f"gave no answer for {silence:g} s"
    return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _last_line(stderr: IO[bytes]) -> str:
    stderr.seek(0)
    lines = stderr.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
