import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from pairbench import machine, threads
from tests.helpers import python


def with_threads(code, **variables):
    """Run code in a fresh interpreter that has only the given ones of the thread variables."""
    clean = {name: value for name, value in os.environ.items() if name not in threads.VARIABLES}
    return python("-c", code, env=clean | variables)


def test_the_machine_is_described_in_json():
    described = machine.describe()
    assert json.loads(json.dumps(described, allow_nan=False)) == described
    assert described["cpu"]
    assert described["libraries"]["numpy"]
    assert described["cpus"] == os.cpu_count()
    assert described["cpus_usable"] == machine.cpus_usable()
    assert described["blas"]


def test_machines_with_equal_cpu_and_libraries_share_a_bucket():
    described = machine.describe()
    bucket = machine.bucket(described)
    assert machine.bucket({**described, "memory_bytes": 1, "system": "Linux 7"}) == bucket
    newer = {**described["libraries"], "torch": "9.9"}
    assert machine.bucket({**described, "libraries": newer}) == bucket
    assert machine.bucket({**described, "libraries": {**newer, "numpy": "9.9"}}) != bucket
    for key in ("cpu", "instruction_set", "python", "blas"):
        assert machine.bucket({**described, key: "other"}) != bucket


def test_an_unknown_library_has_no_version():
    assert machine.library_version("no-such-distribution") is None


def test_conditions_are_counted_from_the_start(monkeypatch):
    now = {"wall": 100.0, "steal": 7.0, "switches": 40}

    class Times:
        user, nice, system, irq, softirq, steal = 50.0, 0.0, 0.0, 0.0, 0.0, property(lambda _: now["steal"])

    monkeypatch.setattr("time.monotonic", lambda: now["wall"])
    monkeypatch.setattr("psutil.cpu_times", Times)
    switched = SimpleNamespace(num_ctx_switches=lambda: SimpleNamespace(involuntary=now["switches"]))
    monkeypatch.setattr("psutil.Process", lambda: switched)
    meter = machine.Meter.start()
    now.update(wall=110.0, steal=7.5, switches=43)
    conditions = meter.read()
    assert (conditions.wall_seconds, conditions.steal_seconds, conditions.involuntary_switches) == (10.0, 0.5, 3)
    assert (meter.read().wall_seconds, meter.read().involuntary_switches) == (
        10.0,
        3,
    )  # a second reading gives the same


def test_cpu_time_of_other_processes_excludes_our_own(monkeypatch):
    clock = {"now": 100.0, "all": 50.0, "own": 10.0}

    class Times:
        user, nice, system, irq, softirq, iowait, idle = property(lambda _: clock["all"]), 1.0, 2.0, 0.0, 0.0, 9.0, 99.0

    monkeypatch.setattr("time.monotonic", lambda: clock["now"])
    monkeypatch.setattr("psutil.cpu_times", Times)
    monkeypatch.setattr("os.times", lambda: os.times_result((clock["own"] / 2, 1.0, clock["own"] / 2, 3.0, 4.0)))
    meter = machine.Meter.start()
    clock.update(
        now=110.0, all=65.0, own=12.0
    )  # 15 s of CPU time in 10 s, of which 2 s in this process and its children
    assert meter.read().other_cpus == pytest.approx(1.3)


@pytest.mark.slow
def test_a_busy_other_process_is_measured():
    burn = "import time\nwhile time.process_time() < 1: pass"
    process = subprocess.Popen([sys.executable, "-c", burn])  # its CPU time counts as ours only after wait()
    meter = machine.Meter.start()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    conditions = meter.read()
    process.wait()
    assert conditions.other_cpus * conditions.wall_seconds > 0.8


def test_unavailable_system_figures_are_none(monkeypatch):
    def unavailable(*_):
        raise NotImplementedError

    monkeypatch.setattr("psutil.cpu_freq", unavailable)
    monkeypatch.setattr("psutil.Process.num_ctx_switches", unavailable)
    conditions = machine.Meter.start().read()
    assert conditions.cpu_mhz is None
    assert conditions.involuntary_switches is None


def test_thread_variables_are_in_force():
    done = with_threads(
        "from pairbench import threads; threads.limit_own_threads(); import numpy; "
        "import json; print(json.dumps([pool.num_threads for pool in threads.check_thread_counts()]))",
        OPENBLAS_NUM_THREADS="4",
    )
    assert set(json.loads(done.stdout)) == {1}, done.stderr


def test_thread_variables_come_too_late_after_numpy():
    done = with_threads("import numpy; from pairbench import threads; threads.limit_own_threads()")
    assert "must be set before NumPy is imported" in done.stderr.splitlines()[-1]


def test_thread_variables_that_are_already_right_are_not_too_late():
    done = with_threads(
        "import numpy; from pairbench import threads; threads.limit_own_threads()", **threads.thread_environment({})
    )
    assert done.returncode == 0, done.stderr


def test_numba_with_more_threads_is_noticed():
    if machine.cpus_usable() < 2:
        pytest.skip("needs two CPUs")
    done = with_threads(
        "import numba; from pairbench import threads; threads.check_thread_counts()",
        **(threads.thread_environment({}) | {"NUMBA_NUM_THREADS": "2"}),
    )
    assert "numba uses 2 threads instead of 1" in done.stderr.splitlines()[-1]


def test_a_library_with_fewer_threads_is_noticed():
    code = "import numba; from pairbench import threads; threads.check_thread_counts(2)"
    done = with_threads(code, **threads.thread_environment({}))
    assert "uses 1 thread instead of 2" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system binds no process to CPUs")
def test_usable_cpus_are_those_of_the_affinity():
    assert machine.cpus_usable() == len(os.sched_getaffinity(0))


def test_cpus_are_counted_if_the_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr("psutil.Process.cpu_affinity")
    monkeypatch.setattr("psutil.cpu_count", lambda: 6)
    assert machine.cpus_usable() == 6


def test_processors_of_macos_have_different_names(tmp_path, monkeypatch):
    sysctl = tmp_path / "sysctl"
    sysctl.write_text('#!/bin/sh\n[ "$*" = "-n machdep.cpu.brand_string" ] && echo Apple M9\n')
    sysctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "absent")
    assert machine.describe()["cpu"] == "Apple M9"


def test_a_processor_without_a_name_has_its_architecture(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(machine, "CPU_INFO", tmp_path / "absent")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert machine._cpu_model() == "riscv64"


def test_a_childs_environment_has_the_thread_count_and_short_spinning():
    one, two = threads.thread_environment({}), threads.thread_environment({"OMP_NUM_THREADS": "8"}, 2)
    assert {two[name] for name in threads.VARIABLES} == {"2"}
    assert two.keys() - one.keys() == threads.SPIN_BRIEFLY.keys()


def test_a_childs_environment_keeps_other_variables():
    environment = threads.thread_environment({"HOME": "x", "OMP_NUM_THREADS": "8"})
    assert environment["HOME"] == "x"
    assert {environment[name] for name in threads.VARIABLES} == {"1"}
