"""What a worker imports, and what it leaves behind."""

import io
import os
import pickle
import signal
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pairbench import plain_pickle, worker_connection, worker_processes
from pairbench.worker_processes import WorkerDied, run_job
from pairbench.worker_protocol import CallJob, CallResult
from tests.helpers import python


def leave_files(how):
    """In a worker: leave files in the folder for temporary files, end as told, or return the folder."""
    folder = Path(tempfile.mkdtemp())
    (folder / "left").write_text("behind")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "ended":
        os._exit(3)
    return str(folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["finished", "killed", "ended"])
def test_temporary_files_are_removed_whatever_happens_to_the_worker(how, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    job = CallJob(leave_files, (how,), label="this")
    if how == "finished":
        (result,) = (answer for answer in run_job(job) if isinstance(answer, CallResult))
        assert Path(result.value).is_relative_to(tmp_path)
    else:
        with pytest.raises(WorkerDied):
            list(run_job(job))
    assert list(tmp_path.iterdir()) == []


def test_compiled_code_that_is_kept_in_the_folder_for_temporary_files_stays(monkeypatch):
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.setattr(worker_processes.getpass, "getuser", lambda: "some:one")
    folder = os.path.join(tempfile.gettempdir(), "torchinductor_some_one")
    assert worker_processes._cache_folders() == {"TORCHINDUCTOR_CACHE_DIR": folder}
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "elsewhere")
    assert worker_processes._cache_folders() == {"TORCHINDUCTOR_CACHE_DIR": "elsewhere"}


class Calls:
    """An object whose pickle makes a call where it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("call", [(eval, "1"), (os.getpid,), (subprocess.Popen, "true"), (print,), (pickle.loads, b"")])
def test_a_message_that_makes_a_call_is_not_read(call):
    with pytest.raises(pickle.UnpicklingError, match=r"^it names "):
        plain_pickle.load(io.BytesIO(pickle.dumps([Calls(*call)])), {"pairbench"})


def test_a_message_of_arrays_and_objects_of_a_named_package_is_read():
    sent = [np.arange(6.0).reshape(2, 3)[:, ::2], np.float32(1.5), {1, 2}, CallResult({"a": (1, None, "b")})]
    content, packages = plain_pickle.dumps(sent)
    assert packages == {"pairbench", "numpy"}
    array, *others = plain_pickle.load(io.BytesIO(content), {"pairbench"})
    np.testing.assert_array_equal(array, sent[0], strict=True)
    assert others == sent[1:]
    with pytest.raises(pickle.UnpicklingError, match=r"^it names pairbench\.worker_protocol\.CallResult$"):
        plain_pickle.load(io.BytesIO(content), set())


def test_a_gate_worker_imports_nothing_that_only_its_parent_needs():
    """Every round waits for the imports of three processes."""
    loaded = "import sys, pairbench.gate_worker; print(*sys.modules)"
    modules = python("-c", loaded).stdout.split()
    assert "pairbench.judged_samples" in modules
    assert {"psutil", "subprocess", "pairbench.machine", "pairbench.worker_processes"}.isdisjoint(modules)


def test_a_worker_starts_on_systems_without_a_parent_death_signal(monkeypatch):
    def refuse(name):
        raise TypeError("bad argument type for built-in operation")  # as on Windows

    monkeypatch.setattr(worker_connection.sys, "platform", "win32")
    monkeypatch.setattr(worker_connection.ctypes, "CDLL", refuse)
    worker_connection.end_with_parent()
