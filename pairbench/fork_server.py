"""A process that imports libraries once, and forks workers, which then need not import them.

``python -m pairbench.fork_server SOCKET`` is started and asked by ``pairbench.forked_processes``.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module

from pairbench.forked_processes import MAX_MESSAGE, Fork, Wait
from pairbench.worker_connection import end_with_parent

POLL_SECONDS = 0.002


def main() -> None:
    """Import what the first message names, answer whether forking is safe, then answer requests.

    That message has the worker's module and the libraries.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and ends its workers
    end_with_parent()
    connection = socket.socket(fileno=int(sys.argv[1]))
    own_path = os.environ["PYTHONPATH"].split(os.pathsep)
    worker, *libraries = pickle.loads(connection.recv(MAX_MESSAGE))
    gc.disable()  # collections take a fifth of the imports
    import_module(worker)
    is_safe = import_libraries(libraries)
    gc.freeze()  # else a collection in a worker would copy the memory of the libraries
    gc.enable()
    connection.send(pickle.dumps(is_safe and _thread_count() == 1))
    while True:
        message, streams, _, _ = socket.recv_fds(connection, MAX_MESSAGE, 3)
        if not message:
            return
        request = pickle.loads(message)
        if isinstance(request, Wait):
            connection.send(pickle.dumps(_wait(request)))
        elif process := os.fork():
            for stream in streams:
                os.close(stream)
            connection.send(pickle.dumps(process))
        else:
            connection.close()
            _become(request, streams, own_path)
            import_module(request.module).main()
            return


def import_libraries(names: Sequence[str]) -> bool:
    """Import the modules that can be imported. A worker finds out itself about the others.

    Returns False if another package was imported with them. It may be the code under test, which must come from the
    worker's own sources.
    """
    expected = {name.partition(".")[0] for name in [*sys.modules, *names]} | sys.stdlib_module_names
    for name in names:
        with suppress(Exception):
            import_module(name)
    _register_functions_of_numba()
    imported = {name: module for name, module in sys.modules.items() if module is not sys.modules["__main__"]}
    from_files = [name for name, module in imported.items() if getattr(module, "__file__", None) is not None]
    return expected.issuperset(name.partition(".")[0] for name in from_files)


def _register_functions_of_numba() -> None:
    """Do what Numba does at the first compilation of a process, and what takes a worker 0.2 s."""
    if (registry := sys.modules.get("numba.core.registry")) is not None:
        with suppress(Exception):
            registry.cpu_target.target_context.refresh()


def _thread_count() -> int:
    """A fork copies no thread but its own."""
    return len(os.listdir("/proc/self/task"))


def _wait(request: Wait) -> int | None:
    end = None if request.seconds is None else time.monotonic() + request.seconds
    while True:
        process, status = os.waitpid(request.process, os.WNOHANG)
        if process:
            return os.waitstatus_to_exitcode(status)
        if end is not None and time.monotonic() > end:
            return None
        time.sleep(POLL_SECONDS)


def _become(request: Fork, streams: Sequence[int], server_path: Sequence[str]) -> None:
    """Give this process the streams, environment, folder and import path of a worker that was started afresh."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request.variables)
    os.chdir(request.folder)
    tempfile.tempdir = None  # a library may have asked for it
    sys.argv[:] = [request.module, *request.arguments]
    sys.orig_argv[:] = [sys.executable, "-P", "-m", request.module, *request.arguments]
    own = [entry for entry in sys.path if entry not in server_path]
    sys.path[:] = dict.fromkeys([*request.variables["PYTHONPATH"].split(os.pathsep), *own])


if __name__ == "__main__":
    main()
