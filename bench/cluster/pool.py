"""The workers of a cluster, by machine. Opens the connection, and inspects every worker before it is used."""

from __future__ import annotations

import logging
import secrets
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from typing import Any

import dask
from distributed import Client, LocalCluster, Security

from bench.cluster import activity
from bench.cluster.connection import LOOPBACK, ClusterLost, Connection
from bench.cluster.worker_facts import OF_CLUSTER, WorkerFacts, differences, versions, worker_facts
from pairbench.visible_text import one_line

RESOURCE = "mlpbench"
"""Resource of a worker, of which every task takes one, so that a worker has one task at a time."""

GONE = (OSError, TimeoutError, CancelledError, RuntimeError)
"""What Dask raises for a call to a scheduler that is gone; RuntimeError if a timeout ends while the client closes."""

CONNECT_SECONDS = 10.0
FIRST_WORKER_SECONDS = 30.0


@dataclass(frozen=True)
class Machine:
    """The workers of one bucket on a machine. Settings and libraries may differ between containers on a machine."""

    name: str
    facts: WorkerFacts
    workers: tuple[str, ...]


@contextmanager
def open_pool(
    connection: Connection, backends: Sequence[str], threads: int, say: Callable[[str], None]
) -> Iterator[Pool]:
    """Connect to a cluster whose workers are to time these backends on ``threads`` threads.

    ``say`` receives messages on workers that join later. Raises ValueError if the cluster cannot be reached, has no
    worker, or is refused: because of its versions, of plain connections to other machines, or of too few CPUs.
    """
    settings = {
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS:g}s",
        # Variables such as MALLOC_TRIM_THRESHOLD_ would change the times, and the bucket with them.
        "distributed.nanny.pre-spawn-environ": {},
        "logging": {"distributed": "critical"},
    }
    with dask.config.set(settings), _silent_logs(), _connected(connection) as client, client.as_current():
        pool = Pool(client, connection, backends, threads, say)
        pool.check_scheduler()
        if not pool.machines():
            raise ValueError("no worker of the cluster has answered")
        pool.is_open = True
        client.register_plugin(activity.Activity(), name=pool.plugin)
        try:
            yield pool
        finally:
            with suppress(*GONE):
                client.unregister_worker_plugin(pool.plugin)


class Pool:
    """The workers of a cluster that may measure. ``is_open``: the first workers have been inspected.

    A worker that joins later and would be refused is left out, with a message.
    """

    def __init__(
        self,
        client: Client,
        connection: Connection,
        backends: Sequence[str],
        threads: int,
        say: Callable[[str], None],
    ):
        self.client = client
        self.is_open = False
        self.plugin = f"mlpbench-{secrets.token_hex(4)}"  # other clients have their own
        self._connection, self._backends, self._threads, self._say = connection, backends, threads, say
        self._ours = versions(backends)
        self._facts: dict[str, WorkerFacts] = {}
        self._left_out: set[str] = set()

    def check_scheduler(self) -> None:
        """Raise ValueError if the scheduler has other versions of the libraries of the cluster."""
        found: Any = self.client.get_versions()
        theirs = dict(found["scheduler"]["packages"])
        ours = {name: self._ours[name] for name in OF_CLUSTER}
        self._require_none(differences(ours, {"the scheduler": {name: theirs.get(name) for name in ours}}))

    def processing(self) -> Mapping[str, Sequence[str]]:
        """The tasks of every worker. Raises ClusterLost if the scheduler does not answer."""
        try:
            if self.client.status != "running":
                raise OSError("the connection is closed")
            tasks: Mapping[str, Sequence[str]] = self.client.processing()
        except GONE as error:
            raise ClusterLost(f"the scheduler of the cluster is gone: {one_line(str(error))}") from None
        return tasks

    def machines(self, processing: Mapping[str, Sequence[str]] | None = None) -> list[Machine]:
        """The machines that have workers now, by name. New workers are inspected.

        Raises ValueError for a worker that is refused, while the pool is not open, and ClusterLost.
        """
        present = self.processing() if processing is None else processing
        self._facts = {address: facts for address, facts in self._facts.items() if address in present}
        new = [address for address in present if address not in self._facts and address not in self._left_out]
        if not self.is_open:
            self._facts.update(self._inspected(new))
            new = []
        for address in new:
            try:
                self._facts.update(self._inspected([address]))
            except ValueError as error:
                self._left_out.add(address)
                self._say(f"left out: {error}")
        workers: dict[tuple[str, str], list[str]] = {}
        for address, facts in sorted(self._facts.items(), key=lambda item: item[0]):
            workers.setdefault((facts.machine, facts.bucket), []).append(address)
        return [
            Machine(name, self._facts[addresses[0]], tuple(addresses))
            for (name, _), addresses in sorted(workers.items())
        ]

    def other_tasks(self, machine: Machine, own_task: str, begin: float, end: float) -> list[str]:
        """A text for each worker of a machine that executed other tasks between two times of the machine's clock."""
        neighbours = [address for address, facts in self._facts.items() if facts.machine == machine.name]
        executed = self._run(activity.executed, self.plugin, begin, end, workers=neighbours)
        texts = []
        for address, keys in executed.items():
            others = None if isinstance(keys, Exception) or keys is None else [key for key in keys if key != own_task]
            if others is None:
                texts.append(f"it is unknown whether the Dask worker {address} on the same machine was busy")
            elif others:
                texts.append(f"the Dask worker {address} on the same machine executed other tasks: {len(others)}")
        return texts

    def _inspected(self, addresses: Sequence[str]) -> dict[str, WorkerFacts]:
        """The facts of workers, which then accept tasks. A worker that ends meanwhile is left out."""
        for address in addresses:
            self._connection.require_safe(address)
        answers = self._run(worker_facts, tuple(self._backends), workers=addresses)
        gone = {address for address, answer in answers.items() if isinstance(answer, OSError)}
        facts = {address: answer for address, answer in answers.items() if address not in gone}
        for address, answer in facts.items():
            if isinstance(answer, Exception):
                reason = one_line(f"{type(answer).__name__}: {answer}")
                raise ValueError(f"the worker {address} cannot run this mlpbench: {reason}")
        self._require_none(differences(self._ours, {address: answer.versions for address, answer in facts.items()}))
        for address, answer in facts.items():
            if answer.cpus < self._threads:
                raise ValueError(f"--threads {self._threads} is more than the CPUs of {address}, {answer.cpus}")
        offered = self._run(_offer_resource, workers=list(facts))
        return {address: facts[address] for address, answer in offered.items() if not isinstance(answer, Exception)}

    def _run(self, function: Any, *arguments: Any, workers: Sequence[str]) -> dict[str, Any]:
        """Call a function on workers, outside of their tasks; the answer of a worker may be an exception."""
        if not workers:
            return {}
        try:
            answers: dict[str, Any] = self.client.run(function, *arguments, workers=list(workers), on_error="return")
        except GONE as error:
            raise ClusterLost(f"the scheduler of the cluster is gone: {one_line(str(error))}") from None
        return answers

    def _require_none(self, found: Sequence[str]) -> None:
        if found:
            raise ValueError(f"the cluster has other versions than this machine: {'; '.join(found)}")


async def _offer_resource(dask_worker: Any = None) -> None:
    if dask_worker.state.total_resources.get(RESOURCE) != 1:
        await dask_worker.set_resources(**{RESOURCE: 1})


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Keep Dask from writing to standard error: the commands say what happens, in one line."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block, and keep it from the processes of a cluster that starts here.

    A terminal sends it to all processes, but only the command acts on it. Threads and processes inherit the mask; the
    handler is for a signal that another thread of this process takes.
    """
    if not hasattr(signal, "pthread_sigmask"):  # as on Windows
        yield
        return
    resource_tracker.ensure_running()  # its start, with the first process, would end the blocking in some Pythons
    delayed: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: delayed.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if delayed:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _connected(connection: Connection) -> Iterator[Client]:
    security = None
    if connection.tls is not None:
        ca_file, certificate, key = connection.tls
        own = {
            f"tls_{role}_{kind}": path
            for role in ("client", "scheduler", "worker")
            for kind, path in (("cert", certificate), ("key", key))
        }
        security = Security(tls_ca_file=ca_file, require_encryption=True, **own)
    if connection.address is None:
        with ExitStack() as stack:
            with _without_interrupts():
                cluster = LocalCluster(
                    n_workers=connection.workers,
                    threads_per_worker=1,
                    processes=True,
                    host=LOOPBACK,
                    protocol="tls://" if security else "tcp://",
                    dashboard_address=f"{LOOPBACK}:0",  # a port that is free; None would take port 8787, with a warning
                    security=security,
                    silence_logs=logging.CRITICAL,
                )
                stack.enter_context(cluster)
            yield stack.enter_context(Client(cluster, set_as_default=False))
        return
    try:
        client = Client(connection.address, security=security, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, RuntimeError) as error:
        raise ValueError(f"cannot reach a Dask scheduler at {connection.address}: {one_line(str(error))}") from None
    try:
        try:
            client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
        except TimeoutError:
            raise ValueError(
                f"the cluster at {connection.address} has no worker; start one with: dask worker {connection.address}"
            ) from None
        yield client
    finally:
        with suppress(*GONE):
            client.close()
