"""What a worker leaves behind."""

import os
import signal
import tempfile
from pathlib import Path

import pytest

from pairbench import worker_processes
from pairbench.worker_processes import WorkerDied, run_job
from pairbench.worker_protocol import CallJob, CallResult


def leave_files(how):
    """In a worker: leave files in the folder for temporary files, end as told, or return the folder."""
    folder = Path(tempfile.mkdtemp())
    (folder / "left").write_text("behind")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "ended":
        os._exit(3)
    return str(folder)


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
