"""The parent's side of ``fork_server``: starts it, and has it fork worker processes.

The workers of a server share the addresses of the libraries and the hash seed, which change the time of the same code
by some percent. A server therefore serves one round: all sides share these, and the next round has others.
"""

from __future__ import annotations

__all__ = ["ForkServers"]

import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import IO, Any, Self

MAX_MESSAGE = 1 << 20
"""Most bytes of a message, more than the environment of a process or the names of all its modules."""

TIMEOUT = 300.0
"""Seconds without an answer after which a server counts as hung."""

STARTED_TOGETHER = 2
"""Servers that start at the same time. Two CPUs import for two rounds in the time of one."""


@dataclass(frozen=True)
class Fork:
    """Fork a worker, whose three standard streams are sent with this request. Answer: its process number.

    The worker calls ``main`` of ``module``, in ``folder``, with exactly these environment ``variables``.
    """

    module: str
    arguments: Sequence[str]
    variables: Mapping[str, str]
    folder: str


@dataclass(frozen=True)
class Wait:
    """Wait for the end of a worker. Answer: its exit status, negative for a signal; None if it does not end in time."""

    process: int
    seconds: float | None


class ForkServer:
    """A running fork server, reached through a socket."""

    def __init__(self, connection: socket.socket):
        self._connection = connection

    def ask(self, request: object, streams: Sequence[int] = ()) -> Any:
        """The answer to a request, with which open files may be sent. Raises OSError if the server has ended."""
        socket.send_fds(self._connection, [pickle.dumps(request)], streams)
        answer = self._connection.recv(MAX_MESSAGE)
        if not answer:
            raise ConnectionResetError("the fork server has ended")
        return pickle.loads(answer)

    def start(self, request: Fork, stderr: IO[bytes]) -> ForkedProcess:
        """Fork a worker that writes to ``stderr``. Raises OSError if the server has ended."""
        stdin, to_worker = os.pipe()
        from_worker, stdout = os.pipe()
        try:
            number = self.ask(request, [stdin, stdout, stderr.fileno()])
        except OSError:
            os.close(to_worker)
            os.close(from_worker)
            raise
        finally:
            os.close(stdin)
            os.close(stdout)
        return ForkedProcess(self, number, os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb"))


class ForkedProcess:
    """A forked worker, with those attributes and methods of ``subprocess.Popen`` that its parent needs."""

    def __init__(self, server: ForkServer, number: int, stdin: IO[bytes], stdout: IO[bytes]):
        self._server, self.pid, self.stdin, self.stdout = server, number, stdin, stdout
        self._status: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """The exit status. Raises TimeoutExpired if the process does not end within ``timeout`` seconds."""
        if self._status is None:
            try:
                self._status = self._server.ask(Wait(self.pid, timeout))
            except OSError:  # the system kills the workers of a server that has ended
                self._status = -signal.SIGKILL
        if self._status is None:
            raise TimeoutExpired("a forked process", timeout or 0.0)
        return self._status

    def kill(self) -> None:
        """End the process at once, unless its end is known already."""
        if self._status is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


class StartingServer:
    """A fork server that may still be importing."""

    def __init__(self, connection: socket.socket | None):
        self._connection = connection

    @cached_property
    def ready(self) -> ForkServer | None:
        """The server, once it has imported; reading this waits for it.

        None where processes cannot be forked safely: on other systems than Linux, if the libraries have started a
        thread, and if they have imported other packages.
        """
        if self._connection is None:
            return None
        try:
            answer = self._connection.recv(MAX_MESSAGE)
        except OSError:
            return None
        return ForkServer(self._connection) if answer and pickle.loads(answer) else None


@contextmanager
def start_fork_server(worker: str, libraries: Sequence[str], variables: Mapping[str, str]) -> Iterator[StartingServer]:
    """Start a fork server that imports the worker's module and the ``libraries``, with these environment variables.

    The server ends with the context.
    """
    if sys.platform != "linux":
        yield StartingServer(None)
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        command = [sys.executable, "-P", "-m", "pairbench.fork_server", str(theirs.fileno())]
        files = [theirs.fileno()]
        process = Popen(command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=dict(variables), pass_fds=files)
        theirs.close()
        ours.settimeout(TIMEOUT)
        try:
            with suppress(OSError):  # the process has ended; reading its answer shows it
                ours.send(pickle.dumps([worker, *libraries]))
            yield StartingServer(ours)
        finally:
            process.kill()
            process.wait()


class ForkServers:
    """The fork servers of successive rounds, which can start during a round before.

    ``start`` starts one; without it, ``take`` gives None. Leaving the context ends those that wait for their rounds;
    the one in use ends with its round.
    """

    def __init__(self, start: Callable[[], AbstractContextManager[StartingServer]] | None = None):
        self._start = start
        self._waiting: list[tuple[StartingServer, ExitStack]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with ExitStack() as stack:
            for _, server in self._waiting:
                stack.push(server)

    def start_next(self) -> None:
        """Start the servers of the next ``STARTED_TOGETHER`` rounds, unless one waits. This awaits no import."""
        if self._start is not None and not self._waiting:
            for _ in range(STARTED_TOGETHER):
                with ExitStack() as stack:
                    self._waiting.append((stack.enter_context(self._start()), stack.pop_all()))

    def await_next(self) -> None:
        """Wait until all servers that were started have imported."""
        for server, _ in self._waiting:
            _ = server.ready

    @contextmanager
    def take(self) -> Iterator[ForkServer | None]:
        """The next server, once it has imported; it ends with the context. None if there is none."""
        self.start_next()
        if not self._waiting:
            yield None
            return
        server, stack = self._waiting.pop(0)
        with stack:
            yield server.ready
