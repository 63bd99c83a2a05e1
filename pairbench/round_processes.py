"""The processes of a round: a fresh one for each side."""

from __future__ import annotations

__all__ = ["ProcessDied", "RoundProcesses", "fork_servers", "open_processes"]

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from random import Random
from typing import Any, Protocol

from pairbench import machine
from pairbench.forked_processes import ForkServer, ForkServers, StartingServer
from pairbench.worker_processes import Worker, WorkerGone


class SourceTree(Protocol):
    """The sources of a side."""

    def check_present(self) -> None:
        """Raise WorktreeError if the sources were removed."""

    def serve(self, libraries: Sequence[str]) -> AbstractContextManager[StartingServer]:
        """Start a fork server that imports these libraries, for the processes of all sides."""

    def start(self, server: ForkServer | None = None) -> AbstractContextManager[Worker]:
        """Start a fresh process that runs these sources, and answers the requests of ``gate_protocol``."""


class ProcessDied(Exception):
    """A process of a round ended or hung; the round has no result."""

    def __init__(self, key: str, side: str, how: str):
        super().__init__(f"the worker process {how}")
        self.key, self.side = key, side


class RoundProcesses:
    """The processes of a round, by side."""

    def __init__(self, workers: Mapping[str, Worker]):
        self._workers = workers

    def __iter__(self) -> Iterator[str]:
        return iter(self._workers)

    def ask(self, key: str, side: str, request: object, timeout: float) -> Any:
        """Send a request to a process and return the answer. Raises ProcessDied."""
        self.send(side, request)
        return self.receive(key, side, timeout)

    def ask_all(self, key: str, requests: Mapping[str, object], timeout: float) -> dict[str, Any]:
        """Send requests to several processes, which work in parallel, and return the answers. Raises ProcessDied."""
        for side, request in requests.items():
            self.send(side, request)
        return {side: self.receive(key, side, timeout) for side in requests}

    def pin_to_one_cpu(self, random: Random) -> None:
        """Pin all processes to the same CPU, drawn at random.

        Two CPUs of a virtual machine may differ in speed by a factor of two for seconds.
        """
        if cpus := machine.affinity():
            cpu = random.choice(cpus)
            for worker in self._workers.values():
                worker.pin(cpu)

    def last_line(self, side: str) -> str:
        """The last line that a process wrote to standard error."""
        return self._workers[side].last_line()

    def arrived(self, side: str) -> float:
        """When the last message of a process arrived, by this process's clock."""
        return self._workers[side].arrived

    def send(self, side: str, request: object) -> None:
        """Send a request without waiting for the answer."""
        self._workers[side].send(request)

    def receive(self, key: str, side: str, timeout: float) -> Any:
        """Receive the answer to the oldest unanswered request. Raises ProcessDied, with ``key`` as the row."""
        try:
            (reply,) = self._workers[side].receive(timeout)
        except WorkerGone as end:
            raise ProcessDied(key, side, str(end)) from None
        except (TypeError, ValueError):
            raise ProcessDied(key, side, "sent an invalid answer") from None
        return reply


def fork_servers(trees: Mapping[str, SourceTree], libraries: Sequence[str]) -> ForkServers:
    """The fork servers of rounds of these sides: each imports the ``libraries``, which are those of a trial round."""
    return ForkServers(partial(next(iter(trees.values())).serve, libraries) if libraries else None)


@contextmanager
def open_processes(
    trees: Mapping[str, SourceTree], random: Random, servers: ForkServers | None = None
) -> Iterator[RoundProcesses]:
    """Start a fresh process for each side, in a random order, so that no side is first more often than another.

    The next of the ``servers`` forks the processes. Raises WorktreeError if the sources of a side were removed.
    """
    for tree in trees.values():
        tree.check_present()
    with ExitStack() as stack:
        server = stack.enter_context(servers.take()) if servers is not None else None
        order = random.sample(list(trees), len(trees))
        yield RoundProcesses({side: stack.enter_context(trees[side].start(server)) for side in order})
