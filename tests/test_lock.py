"""The lock that allows one measurement at a time."""

import os

import pytest
from filelock import FileLock

from pairbench import lock
from tests.helpers import one_line_error


class Waiting(Exception):
    """Raised instead of waiting for the lock."""


def wait(text):
    raise Waiting(text)


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(tmp_path))


def test_the_lock_says_who_holds_it_and_since_when():
    holder = rf"\(process {os.getpid()} in '.*', since \d\d:\d\d:\d\d on \d\d \w+\); waiting for it to end$"
    with lock.machine_lock(wait):
        with (
            pytest.raises(Waiting, match=f"^another measurement is running on this machine {holder}"),
            lock.machine_lock(wait),
        ):
            pass
        lock._holder_path().write_bytes(b"\xff")
        with pytest.raises(Waiting, match=r"on this machine; waiting"), lock.machine_lock(wait):
            pass
    assert not lock._holder_path().exists()


def test_a_patient_process_goes_on_without_the_lock():
    texts = []
    with FileLock(lock.lock_path()), lock.machine_lock(texts.append, patience=0.05) as held:
        assert not held
    assert texts == ["another measurement is running on this machine; waiting for it to end"]
    with lock.machine_lock(wait, patience=0.05) as held:
        assert held
    with FileLock(lock.lock_path(), timeout=0):
        pass


@pytest.mark.parametrize("command", [("gate", "--against", "HEAD"), ("baseline", "record"), ("baseline", "accept")])
def test_outside_of_a_checkout_no_command_waits_for_the_lock(command, empty_folder, capsys):
    with FileLock(lock.lock_path()):
        assert "needs a git checkout of the project" in one_line_error(capsys, *command)
    assert list(empty_folder.iterdir()) == []
