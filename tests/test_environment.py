"""What worker processes inherit, and what the results say about it."""

import pytest

from bench.gate import baseline
from bench.records.gate_schema import Baseline, Bucket
from bench.records.remarks import remarks
from bench.records.schema import ConditionsRecord
from pairbench import cgroup, environment, machine, threads, worker_connection, worker_processes
from pairbench.worker_protocol import CallJob, CallResult
from tests.helpers import python


def test_only_listed_variables_are_inherited():
    base = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "NUMBA_OPT": "1",
        "LD_PRELOAD": "x.so",
        "PYTHONMALLOC": "debug",
        "PYTHONDEVMODE": "",  # for Python, an empty value is none
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "4",  # the parent sets it
        "COVERAGE_PROCESS_START": "x",
        "ANYTHING": "else",
    }
    settings = {"LD_PRELOAD": "x.so", "NUMBA_OPT": "1", "PYTHONMALLOC": "debug"}
    assert environment.settings(base) == settings
    assert environment.inherited(base) == {"PATH": "/bin", "LC_ALL": "C", "PYTHONUNBUFFERED": "1", **settings}


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPROFILEIMPORTTIME", "MALLOC_ARENA_MAX", "MKL_CBWR", "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES"),
        *("OMP_PROC_BIND", "KMP_AFFINITY", "GLIBC_TUNABLES", "MLPBENCH_MINE", "TORCHDYNAMO_DISABLE", "XLA_FLAGS"),
    ],
)
def test_what_may_change_times_is_a_setting(name):
    assert environment.settings({name: "1"}) == {name: "1"}


def test_a_worker_has_the_inherited_environment_and_no_other(monkeypatch):
    for name, value in {"NUMBA_OPT": "2", "UNKNOWN_SWITCH": "1", "PYTHONHASHSEED": "7"}.items():
        monkeypatch.setenv(name, value)
    job = CallJob(eval, ("dict(__import__('os').environ)",))
    (found,) = [answer.value for answer in worker_processes.run_job(job) if isinstance(answer, CallResult)]
    assert found["NUMBA_OPT"] == "2"
    assert found.keys() - environment.inherited().keys() <= {
        *threads.VARIABLES,
        "PYTHONPATH",
        "LC_CTYPE",
        worker_connection.TREES,
        *(
            "TMPDIR",
            "TEMP",
            "TMP",
            "TORCHINDUCTOR_CACHE_DIR",
        ),  # folders that do not outlive the worker, and one that does
    }


def test_settings_are_stored_said_and_part_of_the_bucket(monkeypatch):
    plain = machine.bucket(machine.describe())
    assert "environment" not in plain  # as in baselines of earlier versions
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    described = machine.describe()
    assert described["environment"] == {"OPENBLAS_CORETYPE": "Haswell"}
    assert machine.bucket(described) != plain
    (said,) = remarks(described)
    assert "OPENBLAS_CORETYPE=Haswell" in said
    known = Baseline(buckets=[Bucket(machine=machine.bucket(described), sessions=[], moves=[])])
    assert baseline.find_bucket(known, plain).machine == plain
    assert baseline.nearest_bucket(known, plain)[1] == ["environment"]


@pytest.mark.slow
def test_libraries_that_set_variables_of_their_own_change_no_bucket():
    code = (
        "import sklearn.neural_network, threadpoolctl; from pairbench import environment; print(environment.settings())"
    )
    assert python("-c", code, env=environment.inherited()).stdout.strip() == str(environment.settings())


def control_group(monkeypatch, folder, membership, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "membership").write_text(membership)
    monkeypatch.setattr(cgroup, "MOUNT", folder)
    monkeypatch.setattr(cgroup, "MEMBERSHIP", folder / "membership")
    return cgroup.cpu_limit()


def test_the_quota_of_a_control_group_is_read(monkeypatch, tmp_path):
    second = {"box/cpu.max": "150000 100000\n", "box/cpu.stat": "nr_periods 61\nthrottled_usec 2500000\n"}
    limit = control_group(
        monkeypatch, tmp_path / "v2", "0::/box/inner\n", second | {"box/inner/cpu.max": "max 100000\n"}
    )
    assert (limit.quota, limit.throttled_seconds) == (1.5, 2.5)
    assert machine.describe()["cpu_quota"] == 1.5
    assert machine.cpus_usable() == 1
    first = {"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}
    stat = {"cpu,cpuacct/cpu.stat": "nr_throttled 58\nthrottled_time 4000000000\n"}
    limit = control_group(monkeypatch, tmp_path / "v1", "4:cpu,cpuacct:/docker/x\n0::/\n", first | stat)
    assert (limit.quota, limit.throttled_seconds) == (2.0, 4.0)
    first["cpu,cpuacct/cpu.cfs_quota_us"] = "-1\n"  # no quota
    assert control_group(monkeypatch, tmp_path / "none", "4:cpu,cpuacct:/\n", first) is None


def test_throttling_is_a_condition_and_is_said(monkeypatch, tmp_path):
    files = {"cpu.max": "50000 100000\n", "cpu.stat": "throttled_usec 1000000\n"}
    control_group(monkeypatch, tmp_path, "0::/\n", files)
    meter = machine.Meter.start()
    (tmp_path / "cpu.stat").write_text("throttled_usec 1750000\n")
    assert meter.read().throttled_seconds == 0.75
    record = ConditionsRecord(
        wall_seconds=1.5,
        steal_seconds=None,
        load_average=None,
        cpu_mhz=None,
        involuntary_switches=None,
        throttled_seconds=0.75,
    )
    (said,) = remarks({"cpu_quota": 0.5}, None, [record])
    assert "0.5 CPUs" in said
    assert "50 %" in said


def test_without_proc_the_state_of_the_machine_is_unknown_and_nothing_else(monkeypatch, tmp_path):
    monkeypatch.setattr("psutil.PROCFS_PATH", str(tmp_path))
    monkeypatch.setattr(machine.psutil.Process, "__init__", no_such_process)
    described = machine.describe()
    assert described["memory_bytes"] is None
    assert machine.affinity() == []
    assert machine.cpus_usable() >= 1
    assert machine.memory_available() > 0
    conditions = machine.Meter.start().read()
    assert conditions.wall_seconds > 0
    assert (conditions.other_cpus, conditions.steal_seconds, conditions.involuntary_switches) == (None, None, None)
    with worker_processes.start_worker("pairbench.gate_worker", "pairbench"):
        pass  # it is ended without its descendants being known


def no_such_process(self, pid=None):
    raise machine.psutil.NoSuchProcess(pid)
