"""The cluster without processes: addresses, versions, the merging of rows, and the spread between buckets."""

import json
import math
import random
from dataclasses import replace
from statistics import fmean, median

import pytest

from bench.cluster import connection, worker_facts
from bench.cluster.connection import Connection
from bench.records import cluster_rows, schema
from bench.records.cluster_schema import CaseResult
from bench.report import cluster_tables, terminal
from pairbench import random_effects as model
from tests.helpers import one_line_error, timing_row

FILES = {"ca_file": None, "certificate": None, "key": None}


@pytest.fixture
def certificates(tmp_path):
    paths = {}
    for name in FILES:
        path = tmp_path / f"{name}.pem"
        path.touch()
        paths[name] = str(path)
    return paths


def connect(cluster, insecure=False, workers=2, **files):
    return Connection.of(cluster, workers, insecure=insecure, **FILES | files)


@pytest.mark.parametrize(
    "address",
    ["tcp://127.0.0.1:8786", "127.0.0.1:8786", "tcp://127.8.9.1:1", "localhost:8786", "tcp://[::1]:8786"],
)
def test_a_plain_connection_to_loopback_needs_no_flag(address):
    assert connect(address).address == (address if "://" in address else f"tcp://{address}")


@pytest.mark.parametrize(
    "host",
    [
        "10.0.0.7",
        "0.0.0.0",
        "node1",
        "localhost.example.org",
        "127.0.0.1.example.org",
        "[fe80::1]",
        "127.1",
        "128.0.0.1",
    ],
)
def test_a_plain_connection_to_another_machine_needs_the_flag(host):
    with pytest.raises(ValueError, match=r"is a plain connection to another machine.*--insecure-cluster$"):
        connect(f"tcp://{host}:8786")
    assert connect(f"tcp://{host}:8786", insecure=True).insecure


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1@node1:8786", "tcp://node1:8786#@127.0.0.1:1", "tcp://127.0.0.1:1\\@node1:8786"]
)
def test_no_text_hides_another_host(text):
    try:
        address = connect(text).address
    except ValueError:
        return
    assert address.startswith("tcp://127.0.0.1:")


def test_encryption_needs_three_files_and_a_tls_address(certificates, tmp_path):
    assert connect("tls://node1:8786", **certificates).tls == tuple(certificates.values())
    assert connect(connection.LOCAL, **certificates).tls == tuple(certificates.values())
    with pytest.raises(ValueError, match=r"also needs --tls-ca-file and --tls-cert and --tls-key$"):
        connect("tls://node1:8786")
    with pytest.raises(ValueError, match=r"also needs --tls-key$"):
        connect(connection.LOCAL, **certificates | {"key": None})
    with pytest.raises(ValueError, match=r"takes no certificate; did you mean tls://\?$"):
        connect("tcp://127.0.0.1:8786", **certificates)
    with pytest.raises(ValueError, match=r"^--tls-key: there is no file "):
        connect("tls://node1:8786", **certificates | {"key": str(tmp_path / "missing")})


@pytest.mark.parametrize(
    "address",
    ["", "tcp://", "node1", "tcp://node1", "ws://127.0.0.1:1", "127.0.0.1:x", "127.0.0.1:99999", "tcp://h:1/p"],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ValueError, match="is no address of a scheduler"):
        connect(address)


def test_a_scheduler_file_stands_for_its_address(tmp_path):
    file = tmp_path / "scheduler.json"
    file.write_text(json.dumps({"address": "tcp://127.0.0.1:1234", "workers": {}}))
    assert connect(str(file)).address == "tcp://127.0.0.1:1234"
    file.write_text(json.dumps({"address": "tcp://10.0.0.7:1234"}))
    with pytest.raises(ValueError, match="plain connection to another machine"):
        connect(str(file))
    for content in ("{}", "[]", "x", '{"address": 3}', '{"address": "a.json"}'):
        file.write_text(content)
        with pytest.raises(ValueError, match=r"is no scheduler file: it has no address$"):
            connect(str(file))
    file.unlink()
    with pytest.raises(ValueError, match=r"^cannot read the scheduler file .*: No such file or directory$"):
        connect(str(file))


def test_differences_name_each_version_with_its_places():
    ours = {"Python": "3.11.7", "numpy": "2.4", "numba": "0.68", "torch": None}
    others = {
        "tcp://a:1": {**ours, "numpy": "2.3"},
        "tcp://b:1": {**ours, "numpy": "2.3", "torch": "2.13"},
        "tcp://c:1": {name: version for name, version in ours.items() if name != "numba"},
        "tcp://d:1": dict(ours),
    }
    assert worker_facts.differences(ours, others) == [
        "numpy: 2.4 here, 2.3 on tcp://a:1, tcp://b:1",
        "numba: 0.68 here, missing on tcp://c:1",
        "torch: missing here, 2.13 on tcp://b:1",
    ]
    assert worker_facts.differences(ours, {"tcp://d:1": dict(ours)}) == []


def test_the_versions_hold_the_sources_of_the_backends():
    found = worker_facts.versions(["numpy_plain"])
    assert all(found[name] for name in ("Python", "numpy", "numba", "dask", "distributed", "sources of mlpbench"))
    assert "no backend is named" in worker_facts.versions(["missing"])["backends"]


def test_a_bucket_is_that_of_the_machine_description():
    description = worker_facts.machine.describe()
    name = worker_facts.bucket_name(description)
    assert name == worker_facts.bucket_name({**description, "memory_bytes": 1})
    assert name != worker_facts.bucket_name({**description, "cpu": "another"})
    assert name != worker_facts.bucket_name({**description, "environment": {"OMP_X": "1"}})


BCG = [  # ill and well, vaccinated and not, in 13 trials of a vaccine: a textbook example of the meta-analysis
    *((4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761)),
    *((180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232)),
    *((17, 1699, 65, 1600), (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825)),
]


def test_the_random_effects_are_those_of_a_published_analysis():
    """Colditz and others, 1994, as analysed by Viechtbauer, "metafor", Journal of Statistical Software 36, 2010."""
    estimates = [math.log(a / (a + b) / (c / (c + d))) for a, b, c, d in BCG]
    variances = [1 / a - 1 / (a + b) + 1 / c - 1 / (c + d) for a, b, c, d in BCG]
    effects = model.combine(estimates, variances)
    assert effects.between**2 == pytest.approx(0.3088, abs=5e-5)
    assert effects.share == pytest.approx(0.9212, abs=5e-5)
    assert math.log(effects.ratio.estimate) == pytest.approx(-0.7141, abs=5e-5)
    equal = model.combine([0.5] * 3, [0.01, 0.02, 0.03])
    assert (equal.between, equal.share, equal.ratio.estimate) == (0.0, 0.0, pytest.approx(math.exp(0.5)))


def test_the_variance_between_units_is_found_and_the_interval_covers():
    """Simulated units with a known spread. A model without the spread between units covers far too rarely."""
    rng = random.Random(1)
    variances, shares, covered, naive = [], [], 0, 0
    for _ in range(300):
        units = []
        for _unit in range(6):
            effect = rng.gauss(0.7, 0.1)
            units.append([rng.gauss(effect, 0.05) for _ in range(6)])
        effects = model.random_effects(units)
        variances.append(effects.between**2)
        shares.append(effects.share)
        low, high = math.log(effects.ratio.low), math.log(effects.ratio.high)
        covered += low <= 0.7 <= high
        pooled = [value for unit in units for value in unit]
        half = 2.03 * math.sqrt(sum((x - fmean(pooled)) ** 2 for x in pooled) / 35 / 36)
        naive += abs(fmean(pooled) - 0.7) <= half
    assert fmean(variances) == pytest.approx(0.01, rel=0.15)
    assert median(shares) == pytest.approx(1 - 0.05**2 / 6 / (0.01 + 0.05**2 / 6), abs=0.04)
    assert covered > 0.91 * 300
    assert naive < 0.75 * 300


def test_one_unit_or_one_process_has_no_spread():
    assert model.random_effects([[0.1, 0.2]]) is None
    assert model.random_effects([[0.1, 0.2], [0.3]]) is None
    assert model.random_effects([[0.1, 0.1], [0.3, 0.4]]) is None


def result(bucket, machine, ratios, ok=True, disturbances=()):
    """Processes in which python_loops takes 1 s and numpy_plain what gives these speedups."""
    loops = timing_row(backend="python_loops", arm="python_loops", seconds=1.0, speedup=None)
    plain = timing_row(
        seconds=None if not ok else 1 / median(ratios), speedup=None, ok=ok, reason="" if ok else "wrong"
    )
    processes = [
        schema.ProcessRecord(
            seed=1,
            conditions=[],
            pools=[],
            samples=[
                schema.SampleRecord(
                    **row.case.fields(), arm=row.arm, loops=1, block=[0], position=[0], seconds=[seconds]
                )
                for row, seconds in ((loops, 1.0), (plain, 1 / ratio))
            ],
            machine=machine,
            disturbances=list(disturbances),
        )
        for ratio in ratios
    ]
    return CaseResult(case=str(loops.case), bucket=bucket, machine=machine, rows=[loops, plain], processes=processes)


CASES = [str(timing_row().case)]


def test_speedups_are_merged_within_a_bucket_and_not_between():
    fast, slow = [3.9, 4.0, 4.1], [1.9, 2.0, 2.1]
    results = [result("b", "m3", slow), result("a", "m1", fast), result("a", "m2", [4.2, 4.3], disturbances=["x"])]
    rows = {(row.bucket, row.arm): row for row in cluster_rows.cluster_rows(results, CASES)}
    assert rows["a", "numpy_plain"].speedup.estimate == pytest.approx(4.1)
    assert rows["a", "numpy_plain"].machines == ["m1", "m2"]
    assert rows["a", "numpy_plain"].disturbances == ["x"]
    assert rows["b", "numpy_plain"].speedup.estimate == pytest.approx(2.0)
    assert rows["b", "numpy_plain"].disturbances == []
    (spread,) = cluster_rows.spread_rows(results, CASES)
    assert (spread.arm, spread.buckets) == ("numpy_plain", 2)
    assert spread.speedup.estimate == pytest.approx(math.sqrt(4.1 * 2.0), rel=0.01)
    assert spread.between == pytest.approx(math.log(4.1 / 2.0) / math.sqrt(2), rel=0.02)
    assert spread.share > 0.99
    same = [result("b", "m3", fast), result("a", "m1", [3.95, 4.02, 4.05])]
    (spread,) = cluster_rows.spread_rows(same, CASES)
    assert spread.share == spread.between == 0
    assert cluster_rows.spread_rows(results[1:], CASES) == []


def test_an_arm_that_fails_on_one_machine_of_a_bucket_has_failed():
    results = [result("a", "m1", [4.0, 4.1]), result("a", "m2", [4.0, 4.1], ok=False)]
    _, row = cluster_rows.cluster_rows(results, CASES)
    assert (row.ok, row.reason, row.speedup, row.seconds) == (False, "wrong", None, None)


def test_a_disturbance_is_shown_with_its_cases():
    process = result("a", "m", [2.0], disturbances=["the lock was held"]).processes[0]
    shown = terminal.rendered(*cluster_tables.disturbances([process, process]))
    assert shown == "Disturbed: the lock was held, during forward 3-3-1, 1 sample.\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["run", "--resume"], "--resume needs --cluster"),
        (["run", "--each-machine"], "--each-machine needs --cluster"),
        (["run", "--cluster-workers", "3"], "--cluster-workers needs --cluster"),
        (["scale", "--insecure-cluster"], "--insecure-cluster needs --cluster"),
        (["run", "--cluster", "--cluster-workers", "0"], "--cluster-workers must be at least 1; got 0"),
        (["run", "--cluster", "--roofline"], "leave out --cluster"),
        (["run", "--cluster", "--threads", "0"], "--threads must be at least 1; got 0"),
        (["scale", "--cluster", "tcp://10.1.2.3:8786"], "is a plain connection to another machine"),
    ],
)
def test_wrong_usage_has_one_line(arguments, text, capsys, empty_folder):
    assert text in one_line_error(capsys, *arguments)
    assert list(empty_folder.rglob("*.json")) == []


def test_without_dask_the_error_names_the_command_that_installs_it(capsys, empty_folder, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    line = one_line_error(capsys, "run", "--cluster")
    assert "--cluster needs Dask, which is not installed: pip install -c constraints.txt -e '.[cluster]'" in line


def test_the_worker_facts_of_two_processes_of_a_machine_agree():
    first, second = worker_facts.worker_facts(["numpy_plain"]), worker_facts.worker_facts(["numpy_plain"])
    assert replace(first, description={}) == replace(second, description={})
