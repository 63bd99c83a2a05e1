"""The command ``gate --against``: verdicts on planted changes, in the terminal and in pytest."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gates import BACKENDS, ROUNDS, gate, git, left_behind, plant
from tests.helpers import FEWER_PLUGINS, ROOT, environment_without_xdist
from tests.test_csv_rows import csv_errors

pytestmark = pytest.mark.slow


@pytest.mark.fresh_workers
def test_equal_sources_do_not_fail(repository, capsys):
    (repository / "impls" / "no-identifier.py").touch()
    git("add", ".", cwd=repository)
    git("commit", "--quiet", "--message", "misnamed", cwd=repository)
    status, rows, document = gate(
        "--budget", "8", "--markdown", "summary.md", "--format", "csv", "--output", "rows.csv"
    )
    out, err = capsys.readouterr()
    assert document.verdict in ("PASS", "INCONCLUSIVE")
    assert status == {"PASS": 0, "INCONCLUSIVE": 3}[document.verdict]
    assert list(rows) == list(BACKENDS[3:] + BACKENDS[:3])
    assert document.head.digest == document.base.digest
    assert all(row.rounds >= ROUNDS or row.verdict == "INCONCLUSIVE" for row in rows.values())
    notes = " ".join(out.split())
    assert "Head and base have the same sources" in notes
    assert re.search(r"from the folder of its side alone.* head \S+/h, base \S+/a, control \S+/b\.", notes)
    assert "no-identifier is not compared: backend 'no-identifier'" in notes
    assert last_line(out).startswith(f"{document.verdict}: HEAD (")
    assert csv_errors(document, Path("rows.csv").read_text()) == []
    assert f"## mlpbench gate: {document.verdict}" in Path("summary.md").read_text()
    assert "| python_loops |" in Path("summary.md").read_text()
    for measured_round in document.rounds:
        for times in measured_round.seconds.values():
            assert {*times} == {"head", "base", "control"}
            assert len({len(values) for values in times.values()}) == 1
    assert not Path("results", "gate.partial.json").exists()
    assert "results: results/gate-" in err


def last_line(text):
    return text.rstrip().splitlines()[-1]


def test_a_slow_a_wrong_a_crashing_and_a_new_backend(repository, capsys):
    plant(repository, "numpy_plain", "[None for _ in range(30000)]")
    plant(repository, "numpy_vectorized", "out *= 1 + 1e-9")
    plant(repository, "python_loops_ndarray", "os.kill(os.getpid(), signal.SIGSEGV)")
    shutil.copy(ROOT / "impls" / "numpy_plain.py", repository / "impls" / "fresh.py")
    status, rows, document = gate("--budget", "10")
    out = " ".join(capsys.readouterr().out.split())
    assert (status, document.verdict) == (1, "FAIL")
    slow = rows["numpy_plain"]
    assert slow.verdict == "FAIL"
    assert slow.change.low > 1.5
    assert slow.confirming_rounds >= ROUNDS
    assert slow.changed_times[0] == "backend"
    assert slow.speedup_change.high < 0.7
    assert slow.head_seconds > 1.5 * slow.base_seconds
    assert f"confirmed in {ROUNDS} later rounds" in slow.reason
    wrong = rows["numpy_vectorized"]
    assert (wrong.verdict, wrong.head_seconds, wrong.change) == ("FAIL", None, None)
    assert wrong.reason.startswith("the head fails: output")
    crashed = rows["python_loops_ndarray"]
    assert crashed.verdict == "FAIL"
    assert "died of SIGSEGV" in crashed.reason
    assert rows["python_loops"].verdict != "FAIL"
    assert rows["python_loops"].rounds >= ROUNDS
    assert "fresh is not compared: only the head has it." in out
    assert "fresh" not in rows
    assert document.head.title == "the working tree"
    assert document.head.commit is None
    assert left_behind() == []


def test_only_changed_backends_and_a_control_are_measured(repository, capsys):
    append(repository, "numpy_plain", "# changed")
    _, rows, document = gate("--budget", "5", rows=())
    measured = {name for name, row in rows.items() if row.rounds > 0}
    assert measured == {"numpy_plain", "python_loops"}  # the reference is the control
    for name in {*rows} - measured:
        assert (rows[name].verdict, rows[name].change) == ("PASS", None)
        assert rows[name].reason.startswith("unchanged: head and base have the same sources")
    assert [row.backend for row in document.rows if row.rounds == 0] == ["python_loops_ndarray", "numpy_vectorized"]
    assert "2 rows unchanged, 2 rows to measure" in " ".join(capsys.readouterr().err.split())
    append(repository, "_backend", "# changed")  # which all backends import
    prepared = gate("--budget", "5", rows=())[1]
    assert all(row.rounds > 0 for row in prepared.values())


def test_a_gate_without_changes_measures_one_control(repository):
    _, rows, _ = gate("--budget", "5", rows=())
    assert [name for name, row in rows.items() if row.rounds > 0] == ["python_loops"]


def append(root, backend, line):
    path = root / "impls" / f"{backend}.py"
    path.write_text(f"{path.read_text()}\n{line}\n")


def test_backends_that_cannot_be_imported_fail_and_others_are_judged(repository):
    append(repository, "numpy_plain", "this is no Python")
    append(repository, "numpy_vectorized", "import os; os._exit(0)")
    append(repository, "python_loops_ndarray", "Model.dtypes = 5")
    status, rows, document = gate()
    assert (status, document.verdict) == (1, "FAIL")
    for name, reason in (
        ("numpy_plain", "SyntaxError"),
        ("numpy_vectorized", "the worker process ended with status 0"),
        ("python_loops_ndarray", "dtypes must be a tuple"),
    ):
        assert rows[name].verdict == "FAIL"
        assert rows[name].reason.startswith("the head fails: ")
        assert reason in rows[name].reason
    assert rows["python_loops"].verdict != "FAIL"
    assert rows["python_loops"].rounds >= ROUNDS


def test_a_head_whose_backends_are_all_wrong_fails(repository):
    plant(repository, "numpy_plain", "out *= 1 + 1e-9")
    append(repository, "numpy_vectorized", "this is no Python")
    status, rows, _ = gate("--backend", "numpy_plain", "--backend", "numpy_vectorized")
    assert (status, rows["numpy_plain"].verdict, rows["numpy_vectorized"].verdict) == (1, "FAIL", "FAIL")
    assert "output" in rows["numpy_plain"].reason
    assert "SyntaxError" in rows["numpy_vectorized"].reason


CACHE = (
    "seen = sample.__dict__.setdefault('seen', set()); "
    "x.tobytes() in seen or [None for _ in range(30000)]; seen.add(x.tobytes())"
)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("out *= 1 + 1e-9", "the base fails: output"), (CACHE, "the base fails: answers repeated inputs from a cache")],
    ids=["wrong", "cache"],
)
def test_a_wrong_base_makes_the_row_inconclusive(repository, fault, reason):
    source = (repository / "impls" / "numpy_plain.py").read_text()
    plant(repository, "numpy_plain", fault)
    git("commit", "--quiet", "--all", "--message", "wrong", cwd=repository)
    (repository / "impls" / "numpy_plain.py").write_text(source)
    (repository / "constraints.txt").write_text("numpy==1.0\n")
    status, rows, document = gate("--backend", "numpy_plain")
    assert (status, document.verdict) == (3, "INCONCLUSIVE")
    assert rows["numpy_plain"].reason.startswith(reason)
    assert any("The pinned version of numpy changes from none to 1.0" in note for note in document.notes)


def test_an_improvement_passes_and_is_reported(repository, capsys):
    source = (repository / "impls" / "numpy_plain.py").read_text()
    plant(repository, "numpy_plain", "[None for _ in range(30000)]")
    git("commit", "--quiet", "--all", "--message", "slow", cwd=repository)
    (repository / "impls" / "numpy_plain.py").write_text(source)
    status, rows, _ = gate("--backend", "numpy_plain", "--budget", "30")
    assert (status, rows["numpy_plain"].verdict) == (0, "PASS")
    assert rows["numpy_plain"].change.high < 0.7
    assert "PASS: faster by more than 100.0 %" in " ".join(capsys.readouterr().out.split())


def test_a_budget_too_small_for_a_verdict_is_inconclusive(repository):
    status, rows, _ = gate("--backend", "numpy_plain", "--budget", "0.1")
    assert status == 3
    assert rows["numpy_plain"].reason == f"the budget ended after 0 of the {ROUNDS} rounds that a PASS needs"


LESS_EFFORT = f"""
import sys

import pytest

sys.path.insert(0, {str(ROOT)!r})  # the current folder has an impls, too

from tests import gates

gates.reduce_effort(pytest.MonkeyPatch())
"""


def test_in_pytest_a_verdict_decides_its_test(repository):
    plant(repository, "numpy_plain", "[None for _ in range(100000)]")
    Path("less_effort.py").write_text(LESS_EFFORT)
    plugins = (*FEWER_PLUGINS, "-p", "less_effort", "-p", "bench.plugin")
    options = ("-c", os.devnull, *plugins, "--rootdir", ".", "-rs", "--benchmark")
    cases = ("-k", "forward-3-3-1-1 and (numpy_plain or numpy_vectorized)", "--benchmark-max-time=0.01")
    gate_options = ("--benchmark-gate-against=HEAD", "--benchmark-gate-budget=40", "--benchmark-gate-threshold=100%")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *options,
            *cases,
            *gate_options,
            "--benchmark-json=pytest.json",
            "--junitxml=junit.xml",
            ROOT / "bench/pytest_cases.py",
        ],
        env={
            **environment_without_xdist(),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(repository)]),
            "TMPDIR": str(repository.parent),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert re.search(
        r"^numpy_plain, forward 3-3-1, 1 sample: FAIL: significantly slower, typically by ", done.stdout, re.MULTILINE
    ), done.stdout
    assert "numpy_plain" in Path("junit.xml").read_text()
    gates = {
        benchmark["extra_info"]["backend"]: benchmark["extra_info"]["gate"]
        for benchmark in json.loads(Path("pytest.json").read_text())["benchmarks"]
    }
    assert gates["numpy_plain"]["verdict"] == "FAIL"
    assert gates["numpy_vectorized"]["verdict"] in ("PASS", "INCONCLUSIVE")
    assert gates["numpy_plain"]["change"]["low"] > 1.5
    if gates["numpy_vectorized"]["verdict"] == "INCONCLUSIVE":
        assert re.search(r"SKIPPED.*numpy_vectorized, forward 3-3-1, 1 sample: INCONCLUSIVE", done.stdout)


@pytest.mark.parametrize("option", ["--benchmark-gate-against=nosuch", "--benchmark-gate-baseline=nosuch.json"])
def test_in_pytest_bad_input_gets_one_line(repository, option):
    options = ("-c", os.devnull, *FEWER_PLUGINS, "-p", "bench.plugin", "--rootdir", ".", "--benchmark")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, option],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert re.search(r"^ERROR: .*nosuch", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
