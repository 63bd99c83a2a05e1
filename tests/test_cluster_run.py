"""``mlpbench run --cluster`` and ``scale --cluster`` on real schedulers and workers."""

import os
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from bench.cli.main import main
from bench.cluster import dispatch, tasks
from bench.cluster import pool as pools
from bench.cluster.connection import Connection
from bench.commands import run as run_command
from bench.records import files, schema
from bench.records.cluster_schema import ClusterRun, ClusterRunState
from bench.records.scale_schema import Scale
from bench.report import terminal
from bench.scale import growth, points
from pairbench import lock
from tests.clusters import Killer, kill, process, scheduler, unchanged_environment
from tests.helpers import ONE_PROCESS, ROOT, TINY, one_line_error

distributed = pytest.importorskip("distributed", reason="the cluster needs Dask")
dask = pytest.importorskip("dask", reason="the cluster needs Dask")

# Every test starts processes.
pytestmark = pytest.mark.slow

RUN = ("run", "--quick", "--backend", "numpy_plain", "--network", "3-3-1", "--operation", "forward")
PARTIAL = Path("results/cluster-run.partial.json")
FEW = (points.Dimension("width", (32,), 2), points.Dimension("depth", (1, 2), 1), points.Dimension("batch", (1,), 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for temporary files, so that no gate of another test holds the lock of this machine."""
    patch = pytest.MonkeyPatch()
    path = tmp_path_factory.mktemp("tmp")
    patch.setenv("TMPDIR", str(path))
    patch.setenv("PYTHONPATH", str(ROOT))
    yield path
    patch.undo()


@pytest.fixture(scope="module")
def clusters(folder):
    """A list that has the cluster that the tests share, which is closed at the end."""
    running = []
    yield running
    for one in running:
        one.close()


@pytest.fixture
def cluster(clusters):
    """A scheduler with two workers on this machine; a new one if a worker that a test killed has not come back."""
    for running in clusters[-1:]:
        with distributed.Client(running.scheduler_address) as client, suppress(TimeoutError):
            client.wait_for_workers(2, timeout=10)
            return running
    with unchanged_environment():
        clusters.append(
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
            )
        )
    return clusters[-1]


@pytest.fixture(autouse=True)
def small(empty_folder, folder, monkeypatch):
    monkeypatch.setattr(run_command, "QUICK_EFFORT", ONE_PROCESS)
    monkeypatch.setattr(growth, "EFFORT", ONE_PROCESS)
    monkeypatch.setattr(points, "DIMENSIONS", FEW)
    monkeypatch.setattr(points, "BREAK_EVEN_NETWORKS", ())
    monkeypatch.setattr(lock.tempfile, "gettempdir", lambda: str(folder))


@contextmanager
def opened(cluster, say=print):
    with pools.open_pool(Connection(cluster.scheduler_address), ("numpy_plain",), 1, say) as pool:
        yield pool


def reporting(monkeypatch, progress):
    """Let a command report its progress to ``progress``."""

    @contextmanager
    def given():
        yield progress

    monkeypatch.setattr(terminal, "progress", given)


def timed_rows(document):
    return {(str(row.case), row.arm): row for row in document.rows}


def test_a_cluster_gives_the_cases_and_the_verification_of_a_run_without_it(cluster, capsys):
    assert main([*RUN, "--json", "local.json"]) == 0
    assert main([*RUN, "--cluster", cluster.scheduler_address, "--json", "cluster.json"]) == 0
    out, err = capsys.readouterr()
    local, document = files.read(Path("local.json"), schema.Run), files.read(Path("cluster.json"), ClusterRun)
    rows, expected = timed_rows(document), timed_rows(local)
    assert rows.keys() == expected.keys()
    for key, row in rows.items():
        assert row.ok
        assert (row.ulps, row.share) == (expected[key].ulps, expected[key].share)
        assert row.seconds
        assert row.disturbances == []
    (machine,) = document.machines
    assert {row.bucket for row in document.rows} == {machine.bucket}
    assert {process.machine for process in document.processes} == {machine.machine}
    assert len(document.processes) == len({key for key, _ in rows})
    assert document.spreads == []
    assert f"bucket {machine.bucket}" in out
    assert f"machines: {machine.machine}" in out
    assert "timing forward 3-3-1, 1 sample, on" in err
    assert not PARTIAL.exists()
    (stored,) = Path("results").glob("cluster-run-*.json")
    assert files.read(stored, ClusterRun) == document


def test_a_killed_worker_loses_nothing(cluster, monkeypatch, capsys):
    with distributed.Client(cluster.scheduler_address) as client:
        pids = client.run(os.getpid)
    killer = Killer(lambda: kill(pids[min(pids)]))
    reporting(monkeypatch, killer)
    assert main([*RUN, "--cluster", cluster.scheduler_address]) == 0
    assert not psutil.pid_exists(pids[min(pids)])
    assert [text.partition(", on")[0] for text in killer.texts].count("timing forward 3-3-1, 1 sample") == 2
    (stored,) = Path("results").glob("cluster-run-*.json")
    document = files.read(stored, ClusterRun)
    assert {row.batch for row in document.rows} == {1, 64}
    assert all(row.ok and row.seconds for row in document.rows)
    assert len(document.processes) == 2
    assert "Traceback" not in "".join(capsys.readouterr())


def test_jobs_that_are_not_given_again_would_be_missed(cluster, monkeypatch):
    """A program that drops the job of a lost worker: the test above would find fewer processes."""
    with opened(cluster) as pool:
        (machine,) = pool.machines()
        pid = pool.client.run(os.getpid, workers=[machine.workers[0]])[machine.workers[0]]
        monkeypatch.setattr(dispatch._Jobs, "_again", lambda jobs, slot: jobs._running.pop(slot))
        jobs = [dispatch.Job("timing", time.sleep, (1,)), dispatch.Job("timing", time.sleep, (0,))]
        done = list(dispatch.run_jobs(pool, jobs, dispatch.one_worker, Killer(lambda: kill(pid))))
        assert [one.job for one in done] == jobs[1:]


def test_a_job_that_loses_every_worker_ends(cluster, monkeypatch):
    monkeypatch.setattr(dispatch, "LOST_WORKERS", 0)
    with opened(cluster) as pool:
        (machine,) = pool.machines()
        pid = pool.client.run(os.getpid, workers=[machine.workers[0]])[machine.workers[0]]
        jobs = [dispatch.Job("timing it", time.sleep, (2,))]
        with pytest.raises(pools.ClusterLost, match=r"^timing it has lost 1 worker$"):
            list(dispatch.run_jobs(pool, jobs, dispatch.one_worker, Killer(lambda: kill(pid))))


def group_job(pool, monkeypatch, patience=5.0):
    from bench.cluster import timings
    from bench.suite import arms_of_case
    from tests.test_measure import FORWARD

    monkeypatch.setattr(tasks, "LOCK_SECONDS", patience)
    import impls

    group = arms_of_case(FORWARD, impls.load("python_loops"), [impls.load("numpy_plain")])
    expectations = timings.exact_results(pool, [group], Killer(None, 0))
    bucket = pool.machines()[0].facts.bucket
    job = timings.timing_job(group, expectations, ONE_PROCESS, ["python_loops", "numpy_plain"], bucket)
    ((_, part),) = timings.timed_jobs(pool, [job], Killer(None, 0))
    return part


def test_a_busy_neighbour_and_a_held_lock_are_in_the_samples(cluster, monkeypatch):
    with opened(cluster) as pool:
        (machine,) = pool.machines()
        assert group_job(pool, monkeypatch).disturbances == ()
        neighbour = machine.workers[1]
        busy = pool.client.submit(time.sleep, 30, workers=[neighbour], pure=False)
        with FileLock(lock.lock_path()):
            part = group_job(pool, monkeypatch, patience=0.1)
        held, other = part.disturbances
        assert held == "another measurement is running on this machine"
        assert other == f"the Dask worker {neighbour} on the same machine executed other tasks: 1"
        assert [process.disturbances for process in part.processes] == [[held, other]]
        assert {process.machine for process in part.processes} == {machine.name}
        pid = pool.client.run(os.getpid, workers=[neighbour])[neighbour]
        busy.release()
        kill(pid)  # a thread that sleeps cannot be interrupted


def test_a_lost_scheduler_leaves_what_was_measured_and_resume_goes_on(cluster, folder, tmp_path, monkeypatch, capsys):
    with (
        scheduler(tmp_path) as (running, file),
        process("worker", "--scheduler-file", file, "--no-nanny", "--nthreads", "1"),
    ):
        killer = Killer(running.kill, count=2)
        with monkeypatch.context() as patch:
            reporting(patch, killer)
            patch.setattr(pools, "CONNECT_SECONDS", 2.0)
            line = one_line_error(capsys, *RUN, "--cluster", file)
    assert "the scheduler of the cluster is gone" in line
    assert line.endswith(f"{PARTIAL} has the results so far; to continue, repeat the command with --resume")
    saved = files.read(PARTIAL, ClusterRunState)
    assert len(saved.results) == 1
    reporting(monkeypatch, resumed := Killer(None, 0))
    assert main([*RUN, "--cluster", cluster.scheduler_address, "--resume"]) == 0
    assert sum(text.startswith("timing") for text in resumed.texts) == 1
    (stored,) = Path("results").glob("cluster-run-*.json")
    document = files.read(stored, ClusterRun)
    assert len({str(row.case) for row in document.rows}) == 2
    assert saved.results[0].processes[0] in document.processes
    assert not PARTIAL.exists()
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_worker_with_other_sources_is_refused(tmp_path, folder, capsys):
    tree = tmp_path / "tree"
    for name in ("bench", "impls", "pairbench"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    changed = tree / "bench" / "cases.py"
    changed.write_text(changed.read_text() + "# changed\n")
    shared = ("--scheduler-file", str(tmp_path / "scheduler.json"), "--no-nanny", "--nthreads", "1")
    with scheduler(tmp_path) as (_, file), process("worker", *shared, PYTHONPATH=str(tree)):
        line = one_line_error(capsys, *RUN, "--cluster", file)
    assert "the cluster has other versions than this machine: sources of mlpbench: " in line
    assert " here, " in line
    assert "on tcp://127.0.0.1:" in line
    assert not Path("results/cluster-run.partial.json").exists()


def test_each_bucket_measures_every_case_one_after_the_other_on_a_shared_machine(cluster, capsys, monkeypatch):
    monkeypatch.setattr(run_command, "QUICK_EFFORT", TINY)  # the spread takes two processes
    arguments = (cluster.scheduler_address, "--no-nanny", "--nthreads", "1")
    with process("worker", *arguments, MLPBENCH_TEST="1"):
        with distributed.Client(cluster.scheduler_address) as client:
            while "1" not in client.run(os.getenv, "MLPBENCH_TEST").values():
                time.sleep(0.1)
        arguments = ("--batch", "1", "--cluster", cluster.scheduler_address, "--json", "two.json")
        assert main([*RUN, *arguments]) == 0
    document = files.read(Path("two.json"), ClusterRun)
    first, second = document.machines
    assert first.machine == second.machine
    assert first.bucket != second.bucket
    by_bucket = {
        bucket: {str(row.case) for row in document.rows if row.bucket == bucket}
        for bucket in (first.bucket, second.bucket)
    }
    assert by_bucket[first.bucket] == by_bucket[second.bucket]
    assert len(by_bucket[first.bucket]) == 1
    assert {(row.arm, row.buckets) for row in document.spreads} == {("numpy_plain", 2)}
    assert all(row.disturbances == [] for row in document.rows)  # one timing at a time on the machine
    out, _ = capsys.readouterr()
    assert "spread of the speedups between buckets" in out
    assert "I²" in out


def test_scale_has_the_same_points_as_without_the_cluster(cluster, capsys):
    arguments = ["scale", "--backend", "numpy_plain"]
    assert main([*arguments, "--json", "local.json"]) == 0
    assert main([*arguments, "--cluster", cluster.scheduler_address, "--json", "cluster.json"]) == 0
    local, document = (files.read(Path(f"{name}.json"), Scale) for name in ("local", "cluster"))
    assert [(row.case, row.arm, row.ulps) for row in document.rows] == [
        (row.case, row.arm, row.ulps) for row in local.rows
    ]
    assert all(row.ok and row.seconds for row in document.rows)
    assert all(process.machine for process in document.processes)
    assert document.options["cluster"]
    assert not Path("results/scale.partial.json").exists()


def test_an_unreachable_scheduler_has_one_line(capsys, monkeypatch):
    monkeypatch.setattr(pools, "CONNECT_SECONDS", 0.5)
    line = one_line_error(capsys, *RUN, "--cluster", "127.0.0.1:1")
    assert line.startswith("mlpbench: cannot reach a Dask scheduler at tcp://127.0.0.1:1: ")
