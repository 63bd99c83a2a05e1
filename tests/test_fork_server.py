"""Worker processes that are forked by a process which has imported the libraries."""

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import contextmanager
from itertools import product
from random import Random

import psutil
import pytest

from bench.cases import Case
from bench.gate.recording import recorded_plan
from bench.gate.row_plans import BackendCase
from impls import Network
from pairbench import fork_server, forked_processes, round_processes
from pairbench.gate_protocol import CallFunction
from pairbench.measurement_loop import run_trial_round
from pairbench.round_processes import ProcessDied
from pairbench.worker_processes import start_server, start_worker
from pairbench.worktrees import Worktree
from tests.helpers import ROOT

MODULE = "pairbench.gate_worker"
TREES = dict.fromkeys(("head", "base"), Worktree(ROOT, "impls"))
CALL = 60.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only"),
]


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Makes a library of this source, which every process can import."""

    def make(source, name="a_library"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
        return name

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    return make


@contextmanager
def opened(*libraries, seed=0):
    with (
        round_processes.fork_servers(TREES, libraries) as servers,
        round_processes.open_processes(TREES, Random(seed), servers) as processes,
    ):
        yield processes


def ask(processes, side, function, *arguments):
    return processes.ask("a row", side, CallFunction(function, arguments), CALL)


def everywhere(processes, function, *arguments):
    return {side: ask(processes, side, function, *arguments) for side in processes}


def ask_until_it_dies(processes, side):
    """A worker may answer before a signal arrives."""
    for _ in range(2000):
        ask(processes, side, abs, -3)
        time.sleep(0.01)


def state_of_process():
    """What a process starts with, but for its number and the name of its folder for temporary files."""
    temporary = os.environ["TMPDIR"]
    return {
        "environment": {name: value for name, value in os.environ.items() if value != temporary},
        "temporary": [name for name, value in os.environ.items() if value == temporary],
        "path": list(sys.path),
        "arguments": [sys.argv[1:], sys.orig_argv[1:]],
        "flags": list(sys.flags),
        "folder": os.getcwd(),
        "streams": [stat.S_IFMT(os.fstat(number).st_mode) for number in (0, 1, 2)],
        "handlers": [str(signal.getsignal(number)) for number in signal.Signals],
        "threads": len(os.listdir("/proc/self/task")),
        "session": os.getsid(0),
        "tracers": [sys.gettrace() is None, sys.getprofile() is None],
        "finders": [type(finder).__name__ for finder in sys.meta_path],
    }


def temporary_folders():
    return os.environ["TMPDIR"], tempfile.gettempdir()


def random_number():
    return random.random()


def token_of(name):
    return sys.modules[name].TOKEN if name in sys.modules else None


def test_the_library_is_imported_once_for_a_round_and_anew_for_the_next(library):
    name = library("import os\nTOKEN = os.urandom(8).hex()")
    tokens = []
    for seed in range(2):
        with opened(name, seed=seed) as processes:
            (token,) = set(everywhere(processes, token_of, name).values())
            tokens.append(token)
    assert None not in tokens
    assert tokens[0] != tokens[1]


def test_two_servers_import_at_once_before_their_rounds(library, tmp_path):
    """Each server writes its token when it imports: before the round that it serves begins."""
    file = tmp_path / "tokens"
    name = library(f"import os; TOKEN = os.urandom(8).hex(); print(TOKEN, file=open({str(file)!r}, 'a'))")
    tokens, imported, before = [], [], set(psutil.Process().children())
    with round_processes.fork_servers(TREES, [name]) as servers:
        for _ in range(3):
            with round_processes.open_processes(TREES, Random(0), servers) as processes:
                servers.start_next()
                servers.await_next()
                tokens += set(everywhere(processes, token_of, name).values())
                imported.append(len(file.read_text().split()))
        left = set(psutil.Process().children()) - before
    assert imported == [2, 4, 4]
    assert len(left) == 1
    assert not any(process.is_running() for process in left)
    first, second, third, unused = file.read_text().split()
    assert set(tokens[:2]) == {first, second}
    assert tokens[2] in {third, unused}


def test_without_libraries_no_server_starts():
    with round_processes.fork_servers(TREES, []) as servers:
        servers.start_next()
        servers.await_next()
        with servers.take() as server:
            assert server is None


def test_a_forked_process_starts_like_a_fresh_one(library, monkeypatch):
    monkeypatch.setenv("OMP_DYNAMIC", "FALSE")
    name = library("import tempfile; tempfile.gettempdir()")
    with opened() as processes:
        fresh = everywhere(processes, state_of_process)
    with opened(name) as processes:
        forked = everywhere(processes, state_of_process)
        folders = everywhere(processes, temporary_folders).values()
    for side, what in product(fresh, fresh["head"]):
        assert (side, what, forked[side][what]) == (side, what, fresh[side][what])
    assert len({named for named, _ in folders}) == len(TREES)
    assert all(named == used for named, used in folders)


def test_the_sides_have_random_numbers_of_their_own(library):
    with opened(library("import random")) as processes:
        assert len(set(everywhere(processes, random_number).values())) == len(TREES)


def test_what_a_side_prints_does_not_corrupt_the_messages(library):
    with opened(library("")) as processes:
        ask(processes, "head", os.system, "echo from the head")
        ask(processes, "base", print, "from the base")
        assert ask(processes, "head", abs, -3) == 3
        assert processes.last_line("head") == "from the head"


@pytest.mark.parametrize(
    ("function", "arguments", "how"),
    [
        (os._exit, (7,), "ended with status 7"),
        (os.kill, (0, signal.SIGKILL), "died of SIGKILL"),
        (time.sleep, (60,), "gave no answer for 1 s"),
    ],
)
def test_the_end_of_a_forked_process_is_told(library, function, arguments, how):
    with opened(library("")) as processes:
        if function is os.kill:
            arguments = (ask(processes, "head", os.getpid), signal.SIGKILL)
        with pytest.raises(ProcessDied, match=how) as death:
            processes.ask("a row", "head", CallFunction(function, arguments), 1.0)
        assert (death.value.side, ask(processes, "base", abs, -3)) == ("head", 3)


def test_no_process_is_left(library):
    with opened(library("")) as processes:
        numbers = [*everywhere(processes, os.getpid).values(), *everywhere(processes, os.getppid).values()]
        assert all(map(psutil.pid_exists, numbers))
        assert len(set(numbers)) == len(TREES) + 1
        assert os.getpid() not in numbers
    assert not any(map(psutil.pid_exists, numbers))


def test_the_workers_of_a_killed_server_die(library):
    with opened(library("")) as processes:
        os.kill(ask(processes, "head", os.getppid), signal.SIGKILL)
        for side in processes:
            with pytest.raises(ProcessDied, match="died of SIGKILL"):
                ask_until_it_dies(processes, side)


def test_all_processes_die_with_the_parent(library):
    """Against the shell: a parent that is killed leaves nothing."""
    name = library("")
    source = f"""
        import os, time
        from tests import test_fork_server as tests
        with tests.opened({name!r}) as processes:
            print(*tests.everywhere(processes, os.getpid).values(), *tests.everywhere(processes, os.getppid).values())
            time.sleep(60)
    """
    command = [sys.executable, "-u", "-c", textwrap.dedent(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        numbers = [*map(int, parent.stdout.readline().split())]
        parent.kill()
    _, alive = psutil.wait_procs([psutil.Process(one) for one in numbers if psutil.pid_exists(one)], timeout=20)
    assert len(numbers) == 2 * len(TREES)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    "source",
    [
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "import another_package",
        "import os; os._exit(3)",
    ],
)
def test_with_some_libraries_forking_is_unsafe(library, source):
    """A thread would be lacking in a forked process, and another package may be the code under test."""
    library("", "another_package")
    with start_server([library(source)], MODULE) as server:
        assert server.ready is None


def test_where_forking_is_unsafe_each_process_is_started(library):
    with opened(library("import os; os._exit(3)")) as processes:
        assert set(everywhere(processes, os.getppid).values()) == {os.getpid()}


def test_a_library_that_cannot_be_imported_is_left_to_the_processes(library):
    broken, right = library("raise ImportError", "broken"), library("TOKEN = 5")
    with opened(broken, right) as processes:
        assert set(everywhere(processes, token_of, right).values()) == {5}
        assert set(everywhere(processes, os.getppid).values()) != {os.getpid()}


def test_a_trial_round_names_installed_modules_alone():
    row = BackendCase("numpy_plain", Case(Network((3, 3, 1)), "forward", 1))
    trial = run_trial_round(TREES, {row.key: recorded_plan(row)})
    assert not trial.failures
    assert {"numpy", "random"} <= set(trial.libraries)
    assert {"impls", "bench", "pairbench", "__main__"}.isdisjoint(name.partition(".")[0] for name in trial.libraries)


def test_importing_reports_other_packages(library, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(tmp_path))
    library("", "second_package")
    assert fork_server.import_libraries([library("import json, second_package", "first_package"), "second_package"])
    library("", "third_package")
    assert not fork_server.import_libraries([library("import third_package", "fourth_package")])


def test_a_worker_of_a_server_that_has_ended_is_started(library):
    def parent_of_worker(server):
        with start_worker(MODULE, "impls", path=[ROOT], server=server) as worker:
            worker.send(CallFunction(os.getppid))
            (number,) = worker.receive(CALL)
        return number

    with start_server([library("")], MODULE) as server:
        forked_by = parent_of_worker(server.ready)
        os.kill(forked_by, signal.SIGKILL)
        assert parent_of_worker(server.ready) == os.getpid() != forked_by


def test_a_library_that_hangs_is_left_to_the_processes(library, monkeypatch):
    monkeypatch.setattr(forked_processes, "TIMEOUT", 1.0)
    with start_server([library("import time; time.sleep(60)")], MODULE) as server:
        assert server.ready is None
