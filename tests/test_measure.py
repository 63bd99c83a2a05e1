"""Measuring in worker processes: the results, and the treatment of misbehaving backends."""

import re

import psutil
import pytest

import impls
from bench.arms import Arm, arms_of_case
from bench.case_measurement import first_results, measure_cases, measure_compile_time
from bench.cases import Case
from bench.correctness import CaseWorkload
from bench.proof.verify import expect_case
from bench.records.timing_rows import timing_rows
from impls import Network
from pairbench import process_settings
from pairbench.progress import NoProgress
from pairbench.worker_processes import WorkerDied, WorkerRefused, run_job
from pairbench.worker_protocol import CallJob, TimeJob
from tests.helpers import ONE_PROCESS, TINY, CountedProgress

# Every test starts processes.
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("forked_workers")]

SMALL = Network((3, 3, 1))
FORWARD = Case(SMALL, "forward", 1)
BATCH = Case(SMALL, "forward", 64)
TRAIN = Case(SMALL, "train", 64)


def measured(cases, *backends, effort=ONE_PROCESS):
    groups = [arms_of_case(case, impls.load("python_loops"), backends) for case in cases]
    measurement = measure_cases(groups, effort, 1, NoProgress())
    names = ["python_loops", *(backend.name for backend in backends)]
    return {(row.arm, row.operation): row for row in timing_rows(measurement, names)}, measurement


@pytest.mark.fresh_workers
def test_a_run_has_a_valid_row_for_every_arm():
    found, measurement = measured([FORWARD, TRAIN], impls.load("numpy_plain"), effort=TINY)
    assert len(found) == 6
    for (arm, _), row in found.items():
        assert row.ok
        assert row.seconds > 0
        assert row.speedup.low <= row.speedup.estimate <= row.speedup.high
        assert row.ulps < 100  # the order of the error bound for sums of this length
        assert row.backend == ("python_loops" if arm == "A/A" else arm)
    assert found["python_loops", "train"].speedup.estimate == 1
    assert len(measurement.processes) == 2
    for process in measurement.processes:
        assert process.pools
        assert all(pool.num_threads == 1 for pool in process.pools)
        assert process.conditions[0].wall_seconds > 0
    assert measurement.processes[0].seed != measurement.processes[1].seed


def test_progress_reaches_its_end():
    progress = CountedProgress()
    measure_cases([arms_of_case(FORWARD, impls.load("python_loops"), [])], TINY, 1, progress)
    assert progress.done == progress.steps > 0


def test_a_reference_without_the_dtype_runs_in_float64():
    group = arms_of_case(Case(SMALL, "forward", 1, "float32"), impls.load("python_loops"), [impls.load("numpy_plain")])
    assert [(arm.name, arm.case.dtype) for arm in group] == [
        ("python_loops", "float64"),
        ("A/A", "float64"),
        ("numpy_plain", "float32"),
    ]


def test_a_backend_that_prints_does_not_corrupt_the_answers(third_party):
    noisy = third_party(
        "noisy",
        """
    def _forward_batch(self, X):
        print("noise", flush=True)
        os.write(1, b"more noise")
        return super()._forward_batch(X)
""",
    )
    found, _ = measured([BATCH], noisy)
    assert found["noisy", "forward"].ok


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("os._exit(3)", "the worker process ended with status 3 while checking"),
        pytest.param(
            "os.kill(os.getpid(), 11)",
            "the worker process died of SIGSEGV while checking",
            marks=pytest.mark.fresh_workers,
        ),
    ],
)
def test_a_backend_that_ends_its_process_is_named_and_the_others_are_timed(third_party, ending, text):
    deadly = third_party(
        "deadly",
        f"""
    def _gradient(self, X, Y):
        {ending}
""",
    )
    found, _ = measured([TRAIN, FORWARD], deadly, impls.load("numpy_plain"))
    assert found["deadly", "train"].reason == text
    assert found["deadly", "train"].seconds is None
    assert found["deadly", "train"].speedup is None
    # Its forward pass is right, but the contract tests, which also need the gradient, fail.
    assert found["deadly", "forward"].reason == text
    assert found["numpy_plain", "train"].ok
    assert found["numpy_plain", "train"].speedup is not None


@pytest.mark.fresh_workers
def test_a_backend_that_dies_during_timing_is_named(third_party):
    late = third_party(
        "late",
        """
    def _forward_batch(self, X):
        if not gc.isenabled():
            os._exit(0)
        return super()._forward_batch(X)
""",
    )
    found, measurement = measured([BATCH], late, effort=TINY)
    assert found["late", "forward"].reason == "the worker process ended with status 0 while timing"
    assert found["python_loops", "forward"].ok
    assert found["A/A", "forward"].speedup is not None
    assert len(measurement.processes) == 2


def test_a_backend_that_hangs_is_named(third_party):
    third_party(
        "hung",
        """
    def _forward_batch(self, X):
        time.sleep(60)
""",
    )
    hung = Arm("hung", "hung", BATCH)
    job = TimeJob(((hung,),), {hung: CaseWorkload.of("hung", BATCH, expect_case(BATCH))}, {}, TINY, 1)
    with pytest.raises(WorkerDied, match=r"gave no answer for 3 s while checking") as caught:
        list(run_job(job, silence_seconds=3))
    assert caught.value.at.arm.backend == "hung"


WRONG = "return super()._forward_batch(X) + 1e-9"
OUTPUT = r"^output\[\d+, 0\] is .*, not "


@pytest.mark.parametrize(
    ("body", "case", "text"),
    [
        (f"def _forward_batch(self, X): {WRONG}", BATCH, OUTPUT),
        ("def _forward_batch(self, X): raise RuntimeError('two\\nlines')", BATCH, "^RuntimeError: two lines"),
        ("def _train(self, X, Y, descent): return [0.0] * descent.epochs", TRAIN, r"^new value of .* in layer \d is "),
    ],
    ids=["wrong", "raising", "lazy"],
)
def test_a_wrong_backend_is_not_timed(third_party, body, case, text):
    found, _ = measured([case], third_party("wrong", f"    {body}"), impls.load("numpy_plain"))
    row = found["wrong", case.operation]
    assert not row.ok
    assert row.seconds is None
    assert row.speedup is None
    assert re.search(text, row.reason), row.reason
    assert len(row.reason.splitlines()) == 1
    assert found["numpy_plain", case.operation].ok


LATER = """
    def {method}:
        if gc.isenabled():  # not in a sample
            return super().{call}
        {then}
"""


@pytest.mark.parametrize(
    ("method", "call", "then", "case", "text"),
    [
        (
            "_forward_batch(self, X)",
            "_forward_batch(X)",
            "return super()._forward_batch(X) * (1 + 1e-6)",
            BATCH,
            OUTPUT,
        ),
        (
            "_train(self, X, Y, descent)",
            "_train(X, Y, descent)",
            "return [self._loss(X, Y)] * descent.epochs",
            TRAIN,
            "^(loss of a timed epoch|parameter after a timed training)",
        ),
        (
            "_forward_batch(self, X)",
            "_forward_batch(X)",
            "raise MemoryError('no more')",
            BATCH,
            "^MemoryError: no more",
        ),
    ],
    ids=["wrong", "lazy", "raising"],
)
def test_a_backend_that_is_wrong_in_samples_alone_is_rejected(third_party, method, call, then, case, text):
    body = LATER.format(method=method, call=call, then=then)
    found, _ = measured([case], third_party("later", body), impls.load("numpy_plain"))
    row = found["later", case.operation]
    assert not row.ok
    assert row.seconds is None
    assert re.search(text, row.reason), row.reason
    assert found["numpy_plain", case.operation].speedup is not None


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ("y.view(type('Their', (type(y),), {}))", r"^(forward|output) .*is a Their, not an? (plain )?array"),
        ("y.setflags(write=False) or y", r"^forward of a batch: a result is read-only$"),
    ],
    ids=["a subclass", "read-only"],
)
def test_a_result_that_is_no_plain_array_is_named(third_party, result, reason):
    body = f"    def _forward_batch(self, X):\n        y = super()._forward_batch(X)\n        return {result}"
    found, _ = measured([BATCH], third_party("theirs", body))
    assert re.search(reason, found["theirs", "forward"].reason), found["theirs", "forward"].reason


def test_changed_settings_are_restored_and_said(third_party):
    careless = third_party(
        "careless",
        """
    def _forward_batch(self, X):
        import warnings
        os.environ["CARELESS"] = "1"
        warnings.simplefilter("ignore")
        gc.enable()
        return super()._forward_batch(X)
""",
    )
    found, _ = measured([BATCH], careless, impls.load("numpy_plain"))
    assert found["careless", "forward"].ok
    assert sorted(found["careless", "forward"].remarks) == [
        "changes the environment",
        "changes the filters of warnings",
        "changes whether the garbage collection is on",
    ]
    assert found["numpy_plain", "forward"].remarks == []


CHANGES_WHEN_TIMED = {
    "the threads of BLAS": (
        "import threadpoolctl; threadpoolctl.threadpool_limits(2)",
        r"uses 2 threads instead of 1$",
    ),
    "the clock of samples": (
        "from pairbench import timer; timer.time_calls.__defaults__ = (time.monotonic_ns,)",
        r"^replaces pairbench\.timer\.time_calls$",
    ),
    "a constant": (
        "from pairbench import judged_samples; judged_samples.JUDGED_CALLS = 0",
        r"^replaces pairbench\.judged_samples\.JUDGED_CALLS$",
    ),
    "a function of NumPy": ("import numpy; numpy.exp = numpy.sqrt", r"^replaces numpy\.exp$"),
    "a function of a library": ("time.perf_counter = time.monotonic", r"^replaces time\.perf_counter$"),
    "a method of the reference": (
        "import impls.python_loops as other; other.Model._forward_batch = lambda self, X: time.sleep(1)",
        r"^replaces impls\.python_loops\.Model\._forward_batch$",
    ),
}


@pytest.mark.parametrize("changed", CHANGES_WHEN_TIMED)
def test_a_backend_that_changes_during_timing_what_all_share_is_named_and_the_others_are_timed(third_party, changed):
    statement, reason = CHANGES_WHEN_TIMED[changed]
    changing = third_party(
        "changing",
        f"""
    def _forward_batch(self, X):
        if not gc.isenabled():
            {statement}
        return super()._forward_batch(X)
""",
    )
    found, measurement = measured([BATCH], changing, impls.load("numpy_plain"))
    assert re.search(reason, found["changing", "forward"].reason)
    assert found["changing", "forward"].seconds is None
    assert found["A/A", "forward"].seconds < 0.1
    assert found["numpy_plain", "forward"].ok
    assert len(measurement.processes) == 1


@pytest.mark.parametrize("search", ["gc.get_objects()", "gc.get_referrers(X)", "gc.get_referents(X)"])
def test_a_search_for_the_objects_of_others_is_refused(third_party, search):
    searching = third_party(
        "searching",
        f"""
    def _forward_batch(self, X):
        if not gc.isenabled():  # in a sample
            {search}
        return super()._forward_batch(X)
""",
    )
    found, _ = measured([BATCH], searching, impls.load("numpy_plain"))
    name = search.partition("(")[0]
    assert found["searching", "forward"].reason == f"calls {name}, which finds objects of the measurement"
    assert found["numpy_plain", "forward"].ok


def test_settings_that_could_end_the_process_later_are_restored_and_said(third_party):
    careless = third_party(
        "careless",
        """
    def _forward_batch(self, X):
        import faulthandler, resource, signal, sys
        if not gc.isenabled():  # in a sample
            faulthandler.dump_traceback_later(0.1, exit=True)
            signal.setitimer(signal.ITIMER_PROF, 0.1)
            sys.setrecursionlimit(999)
            resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
            sys.addaudithook(lambda event, arguments: os._exit(1))
        return super()._forward_batch(X)
""",
    )
    found, measurement = measured([BATCH], careless, impls.load("numpy_plain"), effort=TINY)
    assert found["careless", "forward"].ok
    assert found["numpy_plain", "forward"].ok
    assert {"changes an interval timer", "changes the recursion limit"} <= set(found["careless", "forward"].remarks)
    assert len(measurement.processes) == 2


def test_a_failed_backend_whose_threads_go_on_computing_keeps_its_first_reason(third_party):
    failing = third_party(
        "failing",
        """
    def _forward_batch(self, X):
        import threading
        if not gc.isenabled():  # in a sample
            if threading.active_count() == 1:
                threading.Thread(target=lambda: [sum(range(1000)) for _ in range(10**7)], daemon=True).start()
            raise ValueError("no more")
        return super()._forward_batch(X)
""",
    )
    found, measurement = measured([BATCH], failing, impls.load("numpy_plain"), effort=TINY)
    assert found["failing", "forward"].reason.startswith("ValueError: no more")
    assert found["numpy_plain", "forward"].ok
    assert len(measurement.processes) == 2


def test_a_system_without_limits_of_resources_has_no_such_setting(monkeypatch):
    monkeypatch.setattr(process_settings, "resource", None)
    monkeypatch.setattr(process_settings, "LIMITS", process_settings._numbers(None, "RLIMIT_"))
    assert process_settings.SettingsWatch().restore() == []


def test_work_that_a_training_leaves_to_the_reading_of_its_parameters_is_timed(third_party):
    body = """
    def _train(self, X, Y, descent):
        {now}
        return super()._train(X, Y, descent)

    def _fetch(self):
        {later}
        return super()._fetch()
"""
    later = "time.sleep(0.001 * self.__dict__.pop('pending', 0))"
    lazy = third_party("lazy", body.format(now="self.pending = self.__dict__.get('pending', 0) + 1", later=later))
    eager = third_party("eager", body.format(now="time.sleep(0.001)", later=""))
    found, _ = measured([TRAIN], lazy, eager)
    assert found["eager", "train"].seconds >= 0.001
    assert found["lazy", "train"].seconds >= 0.001


def test_a_thread_that_is_started_without_threading_and_a_signal_handler_are_said(third_party):
    careless = third_party(
        "careless",
        """
    started = []

    def _forward_batch(self, X):
        import _thread, signal
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        if not self.started:
            runs = _thread.allocate_lock()
            runs.acquire()
            self.started.append(_thread.start_new_thread(lambda: (runs.release(), time.sleep(30)), ()))
            runs.acquire()
        return super()._forward_batch(X)
""",
    )
    found, _ = measured([BATCH], careless)
    assert sorted(found["careless", "forward"].remarks) == ["changes the handlers of signals", "leaves threads running"]


def test_a_thread_that_computes_while_others_are_timed_is_named_and_the_others_are_timed_without_it(third_party):
    disturbing = third_party(
        "disturbing",
        """
    def _forward_batch(self, X):
        import threading
        if threading.active_count() == 1:
            threading.Thread(target=lambda: [sum(range(1000)) for _ in range(10**7)], daemon=True).start()
        return super()._forward_batch(X)
""",
    )
    found, measurement = measured([BATCH], disturbing, impls.load("numpy_plain"), effort=TINY)
    assert found["disturbing", "forward"].reason == "leaves threads that compute while others are timed"
    assert found["numpy_plain", "forward"].ok
    assert len(measurement.processes) == 2


@pytest.mark.fresh_workers
def test_a_worker_that_does_not_start_is_a_one_line_error(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(WorkerRefused, match="ended with status 1 before its first step") as caught:
        list(run_job(CallJob(first_results, ("python_loops", (FORWARD,)))))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.fresh_workers
def test_closing_the_answers_ends_the_worker(third_party):
    third_party("slow", "    def _forward_batch(self, X): time.sleep(60)")
    arms = (Arm("python_loops", "python_loops", FORWARD), Arm("slow", "slow", BATCH))
    workloads = {arm: CaseWorkload.of(arm.backend, arm.case, expect_case(arm.case)) for arm in arms}
    job = TimeJob(tuple((arm,) for arm in arms), workloads, {}, TINY, 1)
    others = psutil.Process().children()
    answers = run_job(job)
    next(answers)
    (worker,) = set(psutil.Process().children()) - set(others)
    answers.close()
    assert worker not in psutil.Process().children()


def test_compile_time_is_measured_with_an_empty_and_a_filled_cache(third_party):
    third_party(
        "compiling",
        """
    compiles = True

    def _store(self, parameters):
        marker = os.path.join(os.environ["NUMBA_CACHE_DIR"], "compiled")
        if not os.path.exists(marker):
            open(marker, "w").close()
            time.sleep(0.5)
        super()._store(parameters)
""",
    )
    found = measure_compile_time("compiling", [FORWARD])
    assert found.cold >= 0.5
    assert found.cached < found.cold


def test_compilation_is_finished_before_timing(third_party):
    compiling = third_party(
        "compiling",
        """
    compiles = True
    compiled = {}

    def _train(self, X, Y, descent):
        if descent.epochs == 3 and not Model.compiled.setdefault("three epochs", False):
            time.sleep(1)
            Model.compiled["three epochs"] = True
        time.sleep(0.01)  # so that a sample is a single call
        return super()._train(X, Y, descent)
""",
    )
    found, measurement = measured([Case(SMALL, "train", 64, epochs=3)], compiling, effort=TINY)
    assert found["compiling", "train"].ok
    assert len(measurement.processes) == 2
    for process in measurement.processes:
        for timed in process.timed:
            assert max(sample.seconds for samples in timed.samples.values() for sample in samples) < 1


WRONG_WHEN_TIMED = {
    "zeros while garbage collection is off": (
        """
    def _forward_batch(self, X):
        return super()._forward_batch(X) * gc.isenabled()
""",
        BATCH,
        r"^output\[\d+, 0\] is 0, not ",
    ),
    "no update at a small learning rate on a large batch": (
        """
    def _train(self, X, Y, descent):
        before = self._layers
        losses = super()._train(X, Y, descent)
        if len(X) == 64 and descent.learning_rate < 1e-3:
            self._layers = before
        return losses
""",
        TRAIN,
        "^(loss of a timed epoch|parameter after a timed training)",
    ),
}


@pytest.mark.parametrize("name", WRONG_WHEN_TIMED)
def test_the_result_of_the_timed_call_is_judged(third_party, name):
    body, case, text = WRONG_WHEN_TIMED[name]
    found, _ = measured([case], third_party("wrong", body), impls.load("numpy_plain"))
    assert not found["wrong", case.operation].ok
    assert found["wrong", case.operation].seconds is None
    assert re.search(text, found["wrong", case.operation].reason)
    assert found["numpy_plain", case.operation].ok


@pytest.mark.fresh_workers
def test_a_worker_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "bench").mkdir()
    (tmp_path / "statistics.py").write_text("raise RuntimeError\n")
    monkeypatch.chdir(tmp_path)
    found, _ = measured([BATCH], impls.load("numpy_plain"))
    assert found["numpy_plain", "forward"].ok
