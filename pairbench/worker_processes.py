"""The parent's side: starts fresh worker processes, and exchanges messages with them."""

from __future__ import annotations

__all__ = ["WorkerDied", "WorkerDisturbed", "WorkerRefused"]

import getpass
import os
import pickle
import re
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from subprocess import PIPE, Popen, TimeoutExpired
from threading import Thread
from typing import IO, Any

import psutil

from pairbench import environment, machine, plain_pickle, threads
from pairbench.clock_check import ClockReading
from pairbench.forked_processes import Fork, ForkedProcess, ForkServer, StartingServer, start_fork_server
from pairbench.visible_text import one_line
from pairbench.worker_connection import TREES
from pairbench.worker_protocol import Disturbing, Done, Finished, Job, Message, Refused, Starting

ROOT = Path(__file__).parents[1]

SILENCE_SECONDS = 300.0
"""Time without a message after which a worker counts as hung."""

TEMPORARY = "pairbench-worker-"
"""Prefix of the name of a worker's folder for temporary files."""


class WorkerRefused(RuntimeError):
    """A worker cannot do the job, and this is no arm's fault; the message explains why in one line."""


class WorkerDied(Exception):
    """A worker ended or hung before its job was done; ``at`` is the last step that the worker announced."""

    def __init__(self, at: Starting, how: str):
        super().__init__(f"the worker process {how} while {at.step}")
        self.at = at


class WorkerDisturbed(Exception):
    """A worker gave up because of what the code of a backend does to others; the message explains it in one line."""

    def __init__(self, backend: str, reason: str):
        super().__init__(reason)
        self.backend = backend


class WorkerGone(Exception):
    """A worker ended or hung; the message explains how."""


@contextmanager
def start_worker(
    module: str,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
    path: Sequence[Path] = (),
    thread_count: int = 1,
    prefix: Sequence[str] = (),
    start_in: Path | None = None,
    python: str | None = None,
    server: ForkServer | None = None,
) -> Iterator[Worker]:
    """Start a fresh process that runs a module with these arguments; the process is killed when the context ends.

    ``variables`` are added to the environment that it inherits, as are those that limit the libraries to
    ``thread_count`` threads. Its import path begins with the folders in ``path``. ``prefix`` is the beginning of its
    command line, such as that of a program under which it runs. It starts in the folder ``start_in``.
    ``python`` is its interpreter, by default this one. Its temporary files are removed with it, however it ended.
    With a ``server``, it forks the process, without ``prefix`` and ``python``; if it has ended, the process is started.
    """
    with (
        tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as stderr,
    ):
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
        every_variable = _environment(path, thread_count) | temporary | dict(variables or {})
        process: Popen[bytes] | ForkedProcess | None = None
        if server is not None:
            with suppress(OSError):  # the server has ended
                process = server.start(Fork(module, arguments, every_variable, str(start_in or Path.cwd())), stderr)
        if process is None:
            command = [*prefix, python or sys.executable, "-P", "-m", module, *arguments]
            process = Popen(command, stdin=PIPE, stdout=PIPE, stderr=stderr, env=every_variable, cwd=start_in)
        try:
            yield Worker(process, stderr)
        finally:
            _end(process)


@contextmanager
def start_server(
    libraries: Sequence[str], module: str, variables: Mapping[str, str] | None = None
) -> Iterator[StartingServer]:
    """Start a fork server for workers that run a module and import these libraries; see ``start_fork_server``."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, ignore_cleanup_errors=True) as folder:
        temporary = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), folder)
        every_variable = _environment((), 1) | temporary | dict(variables or {})
        with start_fork_server(module, libraries, every_variable) as server:
            yield server


def _environment(path: Sequence[Path], thread_count: int) -> dict[str, str]:
    """The environment of a worker whose import path begins with these folders."""
    # The worker must import this copy of the packages, not one in the current folder.
    trees = [*map(str, path), str(ROOT)]
    import_path = os.pathsep.join(filter(None, [*trees, os.environ.get("PYTHONPATH")]))
    fixed = {"PYTHONPATH": import_path, TREES: os.pathsep.join(trees), **_cache_folders()}
    return threads.thread_environment(environment.inherited(), thread_count) | fixed


class Worker:
    """A worker process, with which the parent exchanges pickled messages."""

    def __init__(self, process: Popen[bytes] | ForkedProcess, stderr: IO[bytes]):
        self._process, self._stderr = process, stderr
        self.arrived = 0.0
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._packages = {"pairbench"}
        Thread(target=_receive, args=(process.stdout, self._inbox, self._packages), daemon=True).start()

    def send(self, message: object) -> None:
        """Send a message. If the worker has died, ``receive`` raises WorkerGone.

        The worker may answer with objects of the packages whose objects the message holds.
        """
        assert self._process.stdin is not None
        content, packages = plain_pickle.dumps(message)
        self._packages.update(packages)  # before the answer can arrive
        with suppress(BrokenPipeError):
            self._process.stdin.write(content)
            self._process.stdin.flush()

    def receive(self, silence_seconds: float) -> Any:
        """The next message, never None.

        ``arrived`` becomes the time of its arrival. Raises WorkerGone if the worker has ended, or sends no message
        within ``silence_seconds``.
        """
        try:
            self.arrived, message = self._inbox.get(timeout=silence_seconds)
        except Empty:
            message = None
        if message is None:
            raise WorkerGone(self._ending(silence_seconds))
        if isinstance(message, _Invalid):
            raise WorkerGone(f"sent a message that is not accepted: {message.reason}")
        return message

    def pin(self, cpu: int) -> None:
        """Let the process run on this CPU alone. Nothing happens if it has ended, or if the system refuses."""
        with suppress(*machine.UNKNOWN):
            psutil.Process(self._process.pid).cpu_affinity([cpu])

    def last_line(self) -> str:
        """The last line that the worker wrote to standard error."""
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

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
    module: str = "pairbench.worker",
) -> Generator[Message | ClockReading]:
    """Do a job in a fresh worker process that runs a module, and yield its messages; the last message is ``Done``.

    A ClockReading is yielded for each step that ends with the message ``Finished``. The worker is killed when the
    iterator is closed. Raises WorkerDied if the worker ends or hangs during a step, WorkerDisturbed if it gives up
    because of a backend, and WorkerRefused if it cannot do the job.
    """
    with start_worker(module, variables=variables, path=path, thread_count=job.threads) as worker:
        sent = time.perf_counter()
        worker.send(job)
        at, started = None, 0.0
        while True:
            try:
                message = worker.receive(silence_seconds)
            except WorkerGone as end:
                if at is None:
                    raise WorkerRefused(f"a worker process {end} before its first step: {worker.last_line()}") from None
                raise WorkerDied(at, str(end)) from None
            if isinstance(message, Refused):
                raise WorkerRefused(message.reason)
            if isinstance(message, Disturbing):
                raise WorkerDisturbed(message.backend, message.reason)
            if isinstance(message, Starting):
                at, started = message, worker.arrived
                continue
            if isinstance(message, Finished):
                yield ClockReading(message.arm, message.seconds, worker.arrived - started, worker.arrived - sent)
                continue
            yield message
            if isinstance(message, Done):
                return


def _cache_folders() -> dict[str, str]:
    """Variables of caches that are kept in the folder for temporary files, so that workers share them as before."""
    if (known := os.environ.get("TORCHINDUCTOR_CACHE_DIR")) is not None:
        return {"TORCHINDUCTOR_CACHE_DIR": known}
    try:
        user = re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())  # as PyTorch does
    except (KeyError, OSError):  # in a container a user may have no name; PyTorch then has no such folder
        return {}
    return {"TORCHINDUCTOR_CACHE_DIR": os.path.join(tempfile.gettempdir(), f"torchinductor_{user}")}


def _end(process: Popen[bytes] | ForkedProcess) -> None:
    """Kill a process and, as far as they can be found, its descendants."""
    descendants: list[psutil.Process] = []
    with suppress(psutil.Error, OSError):  # OSError: there is no /proc
        descendants = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    for descendant in descendants:
        with suppress(psutil.Error):
            descendant.kill()
    process.wait()
    assert process.stdin is not None
    with suppress(BrokenPipeError):  # closing flushes data that the dead process will not read
        process.stdin.close()


@dataclass(frozen=True)
class _Invalid:
    """Stands for a message that cannot be read."""

    reason: str


def _receive(stream: IO[bytes], inbox: SimpleQueue[Any], packages: Set[str]) -> None:
    """Put the messages from the stream into the inbox, then None when the stream ends or a pickle is incomplete.

    This thread also closes the stream: another thread could not close it during a read, and the read lasts as long as
    a child of the worker keeps the pipe open.
    """
    with stream:
        try:
            while True:
                message = plain_pickle.load(stream, packages)
                inbox.put((time.perf_counter(), message))
        except pickle.UnpicklingError as error:
            inbox.put((time.perf_counter(), _Invalid(one_line(str(error)))))
        except Exception:  # unpickling may raise anything
            inbox.put((time.perf_counter(), None))
