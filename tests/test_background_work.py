"""Threads that compute while others are timed, and the owner who has started them."""

import threading
import time

import pytest

from pairbench.background_work import BackgroundWork


@pytest.fixture
def run_thread():
    """A function that starts threads, which end with the test."""
    stop = threading.Event()
    threads = []

    def start(work):
        threads.append(threading.Thread(target=work, args=(stop,)))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join()


def compute(stop):
    while not stop.is_set():
        sum(range(1000))


def wait(stop):
    stop.wait()


def disturber(work, running, sleep=0.05, times=5):
    """The first owner that is named while this thread sleeps several times."""
    for _ in range(times):
        work.begin()
        start = time.perf_counter()
        time.sleep(sleep)
        if (owner := work.end(running, time.perf_counter() - start)) is not None:
            return owner
    return None


def test_the_owner_of_a_computing_thread_is_named_among_owners_of_idle_threads(run_thread):
    work = BackgroundWork()
    for owner, activity in (("early", wait), ("culprit", compute), ("late", wait)):
        run_thread(activity)
        work.note_new_threads(owner)
    assert disturber(work, "other") == "culprit"


def test_idle_threads_disturb_nobody(run_thread):
    work = BackgroundWork()
    run_thread(wait)
    work.note_new_threads("idle")
    assert disturber(work, "other") is None


def test_the_threads_of_the_running_owner_do_not_count(run_thread):
    work = BackgroundWork()
    run_thread(compute)
    work.note_new_threads("culprit")
    assert disturber(work, "culprit") is None


def test_threads_that_ran_before_have_no_owner(run_thread):
    run_thread(compute)
    work = BackgroundWork()
    work.note_new_threads("honest")
    assert disturber(work, "other") is None


def test_with_several_library_threads_nobody_is_named(run_thread):
    work = BackgroundWork(library_threads=2)
    run_thread(compute)
    work.note_new_threads("culprit")
    assert disturber(work, "other") is None


def test_without_process_information_nobody_is_named(run_thread, monkeypatch):
    def fail(self):
        raise FileNotFoundError("/proc")

    for name in ("threads", "num_threads"):
        monkeypatch.setattr(f"psutil.Process.{name}", fail)
    work = BackgroundWork()
    run_thread(compute)
    work.note_new_threads("culprit")
    assert disturber(work, "other") is None
