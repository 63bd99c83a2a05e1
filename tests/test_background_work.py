"""Threads that compute while others are timed, and the owner who has started them."""

import threading
import time
from contextlib import suppress

import pytest
from threadpoolctl import ThreadpoolController

from pairbench.background_work import BackgroundWork
from pairbench.function_watch import FunctionWatch
from pairbench.gate_protocol import Build
from pairbench.gate_worker import WorkerState, reply_to
from pairbench.threads import ThreadWatch
from pairbench.workload import WorkloadError


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
    run_thread(compute)
    work.note_new_threads("culprit")
    run_thread(wait)
    work.note_new_threads("idle")
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


def test_two_owners_whose_pools_compute_in_turn_disturb_nobody(run_thread):
    """Each pool computes only while its owner runs."""
    work, turns = BackgroundWork(), {}
    for owner in ("first", "second"):
        turns[owner] = threading.Event()
        run_thread(lambda stop, turn=turns[owner]: compute_in_turns(stop, turn))
        work.note_new_threads(owner)
    # The second thread may have been started by the first owner's, so it has no owner; that is not tried here.
    work._owners = dict(zip(work._owners, [*list(work._owners.values())[:-1], "second"], strict=True))
    for _ in range(5):
        for owner, turn in turns.items():
            turn.set()
            assert disturber(work, owner, times=1) is None
            turn.clear()
            time.sleep(0.01)


def compute_in_turns(stop, turn):
    while not stop.is_set():
        if turn.wait(0.01):
            sum(range(1000))


def test_a_thread_that_may_be_of_two_owners_is_held_against_neither(run_thread):
    work = BackgroundWork()
    run_thread(wait)
    work.note_new_threads("idle")
    run_thread(compute)
    work.note_new_threads("other")
    assert disturber(work, "third") is None


def test_a_thread_that_takes_the_place_of_another_is_noticed(run_thread):
    work, end = BackgroundWork(), threading.Event()
    first = threading.Thread(target=end.wait)
    first.start()
    work.note_new_threads("culprit")
    end.set()
    first.join()
    run_thread(compute)
    work.note_new_threads("culprit")
    assert disturber(work, "other") == "culprit"


def test_require_idle_names_the_owner_of_threads_that_compute(run_thread):
    work = BackgroundWork()
    work.require_idle("idle", 0.05)
    run_thread(compute)
    with pytest.raises(WorkloadError, match=r"^leaves threads that compute"):
        work.require_idle("culprit", 0.1)
    with pytest.raises(WorkloadError, match=r"^culprit leaves threads that compute"):
        work.require_idle("other", 0.1)


def test_without_process_information_nobody_is_named(run_thread, monkeypatch, tmp_path):
    monkeypatch.setattr("pairbench.background_work.TASKS", tmp_path / "missing")
    work = BackgroundWork()
    run_thread(compute)
    work.note_new_threads("culprit")
    assert disturber(work, "other") is None


def test_in_the_gate_the_threads_of_a_row_that_raises_are_its_own(run_thread):
    class Raising:
        def build(self):
            run_thread(compute)
            raise ValueError("no")

    state = WorkerState(FunctionWatch("pairbench"))
    assert reply_to(Build("culprit", Raising()), state).reason.startswith("ValueError: no")
    state.background.note_new_threads("other")
    for _ in range(5):
        state.wait(lambda: time.sleep(0.05))
    assert state.disturbing == {"culprit"}


def test_a_thread_count_that_another_live_thread_has_set_is_put_back(run_thread):
    libraries = ThreadpoolController().select(user_api="blas").lib_controllers
    before, is_set = [library.get_num_threads() for library in libraries], threading.Event()
    watch = ThreadWatch(before[0])

    def disturb(stop):
        for library in libraries:
            library.set_num_threads(before[0] + 1)
        is_set.set()
        stop.wait()

    run_thread(disturb)
    is_set.wait()
    with suppress(WorkloadError):
        watch.require_unchanged()
    assert [library.get_num_threads() for library in libraries] == before
