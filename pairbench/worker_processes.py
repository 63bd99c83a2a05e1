"""Fresh worker processes: how the parent starts one and speaks to it, and how the worker answers."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import IO, Any

import psutil

from pairbench import threads
from pairbench.worker_protocol import Done, Job, Message, Refused, Starting

ROOT = Path(__file__).parents[1]

SILENCE_SECONDS = 300.0
"""Time without a message after which a worker is taken to hang."""


class WorkerRefused(RuntimeError):
    """No worker can do its job; the text says why in one line."""


class WorkerDied(Exception):
    """A worker ended or hung before its job was done; ``at`` is the step that it had announced."""

    def __init__(self, at: Starting, how: str):
        super().__init__(f"its process {how} while {at.step}")
        self.at = at


class WorkerGone(Exception):
    """A worker ended or hung; the text says how."""


@contextmanager
def start_worker(
    module: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    thread_count: int = 1,
) -> Iterator[Worker]:
    """A fresh process that runs a module with these arguments, and is gone when the context ends.

    ``variables`` go into its environment, with those that limit libraries to ``thread_count`` threads. The process
    imports what lies under ``path`` before what lies here.
    """
    # The worker is to run this very code, and not what the current folder may hold.
    places = os.pathsep.join(filter(None, [*map(str, path), str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**threads.thread_environment(count=thread_count), "PYTHONPATH": places, **(variables or {})}
    command = [sys.executable, "-P", "-m", module, *arguments]
    with tempfile.TemporaryFile() as stderr:
        process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=environment)
        try:
            yield Worker(process, stderr)
        finally:
            _end(process)


class Worker:
    """A process that is spoken to in pickles."""

    def __init__(self, process: Popen[bytes], stderr: IO[bytes]):
        self._process, self._stderr = process, stderr
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        Thread(target=_receive, args=(process.stdout, self._inbox), daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message. That the worker has died shows when its answer is awaited."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def receive(self, silence_seconds: float) -> Any:
        """The next message, which is never None. Raises WorkerGone where none comes within so many seconds."""
        try:
            message = self._inbox.get(timeout=silence_seconds)
        except Empty:
            message = None
        if message is None:
            raise WorkerGone(self._ending(silence_seconds))
        return message

    def last_line(self) -> str:
        """The last line that it wrote to standard error."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")

    def _ending(self, silence_seconds: float) -> str:
        try:
            status = self._process.wait(timeout=1)
        except TimeoutExpired:
            return f"gave no answer for {silence_seconds:g} s"
        return f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def run_job(
    job: Job,
    variables: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    silence_seconds: float = SILENCE_SECONDS,
) -> Generator[Message]:
    """Messages of a fresh worker about a job, the last is ``Done``; the worker is gone when the iterator is closed.

    Raises WorkerDied, or WorkerRefused where it is no arm's fault.
    """
    with start_worker("pairbench.worker", variables=variables, path=path, thread_count=job.threads) as worker:
        worker.send(job)
        at = None
        while True:
            try:
                message = worker.receive(silence_seconds)
            except WorkerGone as end:
                if at is None:
                    raise WorkerRefused(f"a measuring process {end} before it began: {worker.last_line()}") from None
                raise WorkerDied(at, str(end)) from None
            if isinstance(message, Refused):
                raise WorkerRefused(message.reason)
            if isinstance(message, Starting):
                at = message
                continue
            yield message
            if isinstance(message, Done):
                return


def connect_to_parent() -> Callable[[object], None]:
    """Make this process a worker; returns the function that sends an answer.

    Answers go to what standard output was. From then on standard output is standard error, so that code under test
    that prints cannot corrupt them.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    _end_with_parent()
    faulthandler.enable()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def send(message: object) -> None:
        pickle.dump(message, answers)
        answers.flush()

    return send


def _end_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, however that happens."""
    with suppress(OSError, AttributeError):
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _end(process: Popen[bytes]) -> None:
    """Kill a process and those that it started, as far as they can be found."""
    family: list[psutil.Process] = []
    with suppress(psutil.Error):
        family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for child in family:
        with suppress(psutil.Error):
            child.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # what it has not read is lost with it
        process.stdin.close()


def _receive(stream: IO[bytes], inbox: SimpleQueue[Any]) -> None:
    """Put what arrives into the inbox, then None: at the end, or at a pickle that was cut off.

    The stream is closed here: closing waits for whoever reads, and a child of the worker's may keep the other end open.
    """
    with stream:
        try:
            while True:
                inbox.put(pickle.load(stream))
        except Exception:  # unpickling may raise anything
            inbox.put(None)
