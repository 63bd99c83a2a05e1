"""The command ``gate --against``: verdicts on planted changes, and what it does when things go wrong.

The repositories hold a few backends only, so that nothing is compiled.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from bench.cli.main import main
from bench.gate import alone, sets, state
from bench.records import files
from bench.records.gate_schema import Gate
from tests.test_gate_trees import git
from tests.test_plugin import alone_in_pytest

ROOT = Path(__file__).parents[1]
BACKENDS = ("python_loops", "numpy_plain", "numpy_vectorized", "python_loops_ndarray")
QUICK = ("--against", "HEAD", "--network", "3-3-1", "--budget", "6")
pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path, monkeypatch):
    root = tmp_path / "repository"
    package = root / "impls"
    package.mkdir(parents=True)
    for file in (ROOT / "impls").glob("*.py"):
        if file.name.startswith("_") or file.stem in BACKENDS:
            shutil.copy(file, package)
    (root / ".gitignore").write_text(".mlpbench/\nresults/\n")
    git("init", "--quiet", cwd=root)
    git("add", ".", cwd=root)
    git("commit", "--quiet", "--message", "base", cwd=root)
    monkeypatch.chdir(root)
    # A machine may be slow, and this one may be busy: a lock of the tests' own keeps other gates out of them.
    monkeypatch.setattr(alone.tempfile, "gettempdir", lambda: str(tmp_path))
    return root


PLANT = """

import os, signal, time
_Model, calls = Model, 0


class Model(_Model):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        work = self._forward_sample

        def sample(x, out):
            global calls
            calls += 1
            late = calls > 1800
            work(x, out)
            {fault}

        self._forward_sample = sample
        self.forward = self._checked_forward()
"""


def plant(root, backend, fault):
    """Give a backend's forward of one sample a fault; ``late`` is true when the timing has begun."""
    path = root / "impls" / f"{backend}.py"
    path.write_text(path.read_text() + PLANT.format(fault=fault))


def gate(*arguments, name="gate.json"):
    status = main(["gate", *QUICK, "--json", name, *arguments])
    document = files.read(Path(name), Gate)
    return status, {row.backend: row for row in document.rows}, document


def start(*arguments):
    """A gate in a process group of its own."""
    command = [sys.executable, "-c", "import sys; from bench.cli.main import main; sys.exit(main())", "gate", *QUICK]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(Path.cwd().parent)}
    return subprocess.Popen(
        [*command, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def sides():
    """Processes that run sources of this repository."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if str(Path.cwd()) in process.environ().get("PYTHONPATH", ""):
                found.append(process.pid)
    return found


def left_behind():
    """Those that do not go by themselves: one that was being started finds its parent gone as soon as it looks."""
    deadline = time.monotonic() + 10
    while (found := sides()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_nothing_has_changed(repository, capsys):
    status, rows, document = gate("--markdown", "summary.md")
    out, err = capsys.readouterr()
    assert document.verdict in ("PASS", "INCONCLUSIVE")
    assert status == {"PASS": 0, "INCONCLUSIVE": 3}[document.verdict]
    assert list(rows) == list(BACKENDS[3:] + BACKENDS[:3])
    assert document.head.digest == document.base.digest
    assert all(row.sets >= 6 or row.verdict == "INCONCLUSIVE" for row in rows.values())
    assert "Head and base are the same sources" in " ".join(out.split())
    assert re_last(out).startswith(f"{document.verdict}: HEAD (")
    assert f"## mlpbench gate: {document.verdict}" in Path("summary.md").read_text()
    assert "| python_loops |" in Path("summary.md").read_text()
    for one in document.sets:
        for times in one.seconds.values():
            assert {*times} == {"head", "base", "again"}
            assert len({len(values) for values in times.values()}) == 1
    assert not Path("results", state.FILE).exists()
    assert "results: results/gate-" in err


def re_last(text):
    return text.rstrip().splitlines()[-1]


def test_one_is_slower_one_is_wrong_one_crashes_one_is_new(repository, capsys):
    plant(repository, "numpy_plain", "[None for _ in range(3000)]")
    plant(repository, "numpy_vectorized", "out *= 1 + 1e-9")
    plant(repository, "python_loops_ndarray", "os.kill(os.getpid(), signal.SIGSEGV)")
    shutil.copy(ROOT / "impls" / "numpy_plain.py", repository / "impls" / "fresh.py")
    status, rows, document = gate("--budget", "10")
    out = " ".join(capsys.readouterr().out.split())
    assert (status, document.verdict) == (1, "FAIL")
    slow = rows["numpy_plain"]
    assert slow.verdict == "FAIL"
    assert slow.change.low > 1.5
    assert slow.confirming >= 6
    assert slow.moved[0] == "backend"
    assert slow.speedup_change.high < 0.7
    assert slow.head_seconds > 1.5 * slow.base_seconds
    assert "and again in 6 fresh sets" in slow.reason
    wrong = rows["numpy_vectorized"]
    assert (wrong.verdict, wrong.head_seconds, wrong.change) == ("FAIL", None, None)
    assert wrong.reason.startswith("the head fails: output")
    crashed = rows["python_loops_ndarray"]
    assert crashed.verdict == "FAIL"
    assert "died of SIGSEGV" in crashed.reason
    assert rows["python_loops"].verdict != "FAIL"
    assert rows["python_loops"].sets >= 6
    assert "fresh is in the head alone: it is not compared." in out
    assert "fresh" not in rows
    assert document.head.title == "the working tree"
    assert document.head.commit is None
    assert left_behind() == []


def test_faults_that_show_only_when_the_timing_has_begun(repository, monkeypatch):
    monkeypatch.setattr(sets, "CALLING", 3.0)
    plant(repository, "numpy_plain", "late and os._exit(3)")
    plant(repository, "numpy_vectorized", "out[:] = float('nan') if late else out")
    plant(repository, "python_loops_ndarray", "late and time.sleep(1000)")
    plant(repository, "python_loops", "late and print('garbage', flush=True)")
    _, rows, document = gate("--budget", "15")
    assert document.verdict == "FAIL"
    assert rows["numpy_plain"].reason == "the head fails: its process ended with status 3"
    assert rows["numpy_vectorized"].reason.startswith("the head fails: output")
    assert rows["python_loops_ndarray"].reason == "the head fails: its process gave no answer for 3 s"
    assert rows["python_loops"].sets > 0
    assert left_behind() == []


def test_a_base_that_is_wrong_is_not_compared_with(repository):
    source = (repository / "impls" / "numpy_plain.py").read_text()
    plant(repository, "numpy_plain", "out *= 1 + 1e-9")
    git("commit", "--quiet", "--all", "--message", "wrong", cwd=repository)
    (repository / "impls" / "numpy_plain.py").write_text(source)
    (repository / "constraints.txt").write_text("numpy==1.0\n")
    status, rows, document = gate("--backend", "numpy_plain")
    assert (status, document.verdict) == (3, "INCONCLUSIVE")
    assert rows["numpy_plain"].reason.startswith("the base fails: output")
    assert any("The pinned version of numpy changes from none to 1.0" in note for note in document.notes)


def test_a_gain_passes_and_is_said(repository, capsys):
    source = (repository / "impls" / "numpy_plain.py").read_text()
    plant(repository, "numpy_plain", "[None for _ in range(3000)]")
    git("commit", "--quiet", "--all", "--message", "slow", cwd=repository)
    (repository / "impls" / "numpy_plain.py").write_text(source)
    status, rows, _ = gate("--backend", "numpy_plain")
    assert (status, rows["numpy_plain"].verdict) == (0, "PASS")
    assert rows["numpy_plain"].change.high < 0.7
    assert "PASS: faster by more than 5.0%" in " ".join(capsys.readouterr().out.split())


def test_a_budget_too_small_for_a_verdict(repository):
    status, rows, _ = gate("--backend", "numpy_plain", "--budget", "0.1")
    assert status == 3
    assert rows["numpy_plain"].reason == "the budget ended after 0 of the 6 sets that a verdict takes"


def test_an_interrupted_gate_reports_and_goes_on(repository):
    process = start("--backend", "numpy_plain", "--budget", "60", "--threshold", "0.01%", "--json", "gate.json")
    while not Path("results", state.FILE).exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == 130
    document = files.read(Path("gate.json"), Gate)
    assert document.verdict == "INCONCLUSIVE"
    assert "it was interrupted" in document.rows[0].reason
    assert re_last(out).startswith("INCONCLUSIVE: ")
    assert left_behind() == []
    kept = files.read(Path("results", state.FILE), state.GateState)
    _, _, document = gate("--backend", "numpy_plain", "--threshold", "0.01%", "--resume", "--budget", "0.1")
    assert document.sets == kept.sets
    assert document.started == kept.started


KILLS = int(os.environ.get("MLPBENCH_KILLS", "3"))


def test_a_killed_gate_leaves_nothing_and_can_be_resumed(repository):
    """Killed at random moments; MLPBENCH_KILLS says how many."""
    chance = random.Random(os.getpid())
    arguments = ("--backend", "numpy_plain", "--json", "gate.json", "--markdown", "gate.md")
    begun = time.monotonic()
    start(*arguments).communicate()
    takes = time.monotonic() - begun
    for _ in range(KILLS):
        process = start(*arguments)
        with suppress(subprocess.TimeoutExpired):
            process.wait(chance.uniform(0, takes))
        with suppress(ProcessLookupError):  # it may be over
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert all(files.read(path, Gate).rows for path in [*Path("results").glob("gate-*.json"), Path("gate.json")])
        kept = Path("results", state.FILE)
        had = len(files.read(kept, state.GateState).sets) if kept.exists() else 0
        resumed = start(*arguments, "--resume")
        said = resumed.communicate()
        assert resumed.returncode in (0, 3), said
        document = files.read(Path("gate.json"), Gate)
        assert len(document.sets) >= max(1, had)
        assert document.rows[0].verdict in ("PASS", "INCONCLUSIVE")
        assert left_behind() == []
        assert not [*Path(".mlpbench", "gate").glob(".*")]
        assert not [*Path("results").glob(".*"), *Path("results").glob("*partial*"), *Path().glob(".mlpbench-*")]
    worktrees = subprocess.run(["git", "worktree", "list"], capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1


def test_a_process_that_others_kill_costs_a_set_and_no_verdict(repository):
    process = start("--backend", "numpy_plain", "--budget", "15", "--json", "gate.json")
    while not Path("results", state.FILE).exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    while not (found := sides()):
        time.sleep(0.002)
    with suppress(ProcessLookupError):  # it may be over
        os.kill(found[0], signal.SIGKILL)
    said = process.communicate()
    assert process.returncode in (0, 3), said
    document = files.read(Path("gate.json"), Gate)
    assert sum(not one.seconds for one in document.sets) <= 1
    assert document.rows[0].sets >= 6


def test_what_cannot_be_kept_is_shown(repository, capsys):
    Path("results").write_text("a file where the folder should be")
    status, rows, _ = gate("--backend", "numpy_plain")
    _, err = capsys.readouterr()
    assert status in (0, 3)
    assert rows["numpy_plain"].sets >= 6
    assert "the gate goes on, and cannot be resumed" in err
    assert "cannot make the folder results" in err


def test_a_second_gate_waits_and_says_so(repository):
    with FileLock(alone.path()):
        process = start("--backend", "nosuch")
        line = process.stderr.readline()
        assert process.poll() is None
    assert line == "mlpbench: another gate is running on this machine; waiting for it to end\n"
    assert "no backend is named 'nosuch'" in process.communicate()[1]
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "say what to measure against"),
        (("--against", "HEAD", "--baseline", "b.json"), "--baseline does not go with --against"),
        (("--baseline", "b.json", "--resume"), "--resume does not go with --baseline"),
        (("--against", "HEAD", "--sets", "60"), "--sets does not go with --against"),
        (("--characterise", "--backend", "numba_jit"), "--backend does not go with --characterise"),
        (("--record", "--ratchet"), "--ratchet does not go with --record"),
        (("--record", "--baseline-from", "HEAD"), "--baseline-from does not go with --record"),
        (("--against", "nosuch"), "git knows no revision 'nosuch'"),
        (("--against", "HEAD", "--threshold", "five"), "a threshold is a slowdown between 0 and 100%"),
        (("--against", "HEAD", "--threshold", "-5%"), "a threshold is a slowdown"),
        (("--against", "HEAD", "--threshold", "nan"), "a threshold is a slowdown"),
        (("--against", "HEAD", "--budget", "0"), "a budget is a number of seconds above 0"),
        (("--against", "HEAD", "--budget", "nan"), "a budget is a number of seconds above 0"),
        (("--against", "HEAD", "--backend", "nosuch"), "no backend is named 'nosuch'"),
        (("--against", "HEAD", "--network", "3"), "3"),
        (("--against", "HEAD", "--json", "no/such/folder.json"), "there is no folder no/such"),
        (("--baseline", "nosuch.json"), "cannot read nosuch.json"),
        (("--baseline-from", "HEAD"), "HEAD has no results/baseline.json"),
        (("--baseline", "/b.json", "--baseline-from", "HEAD"), "so no revision has it"),
        (("--characterise",), "there is no recording in results/gate"),
        (("--characterise", "--sets", "-1"), "--sets is a number of sets"),
    ],
)
def test_bad_input_gets_one_line(repository, capsys, arguments, text):
    assert main(["gate", *arguments]) == 2
    out, err = capsys.readouterr()
    line = err.splitlines()[-1]
    assert out == ""
    assert text in line
    assert "Traceback" not in err


def test_a_resumed_gate_must_be_the_same(repository, capsys):
    process = start("--backend", "numpy_plain", "--threshold", "0.01%", "--budget", "60")
    while not Path("results", state.FILE).exists():
        time.sleep(0.02)
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    path = repository / "impls" / "numpy_plain.py"
    path.write_text(path.read_text() + "\n# changed\n")
    assert main(["gate", *QUICK, "--backend", "numpy_plain", "--resume"]) == 2
    assert "is of a gate with other head and threshold" in capsys.readouterr().err.splitlines()[-1]


def test_resume_without_an_unfinished_gate_begins_one_and_says_so(repository, capsys):
    Path("results").mkdir()
    status, rows, _ = gate("--backend", "numpy_plain", "--resume")
    assert status in (0, 3)
    assert rows["numpy_plain"].sets >= 6
    assert "there is no unfinished gate in results: this one begins" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "{}", '{"schema": "mlpbench.gate-state/1"}'])
def test_what_was_left_and_is_damaged_is_not_gone_on_with(repository, capsys, content):
    Path("results").mkdir()
    Path("results", state.FILE).write_text(content)
    assert main(["gate", *QUICK, "--resume"]) == 2
    assert f"results/{state.FILE} is not" in capsys.readouterr().err.splitlines()[-1]


def test_in_pytest_a_verdict_is_that_of_its_test(repository):
    plant(repository, "numpy_plain", "[None for _ in range(3000)]")
    options = ("-c", os.devnull, "-p", "no:cacheprovider", "-p", "bench.plugin", "--rootdir", ".", "-rs", "--benchmark")
    cases = ("-k", "forward-3-3-1-1 and (numpy_plain or numpy_vectorized)", "--benchmark-max-time=0.01")
    asked = ("--benchmark-gate-against=HEAD", "--benchmark-gate-budget=8", "--benchmark-json=pytest.json")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            *options,
            *cases,
            *asked,
            "--junitxml=junit.xml",
            ROOT / "tests/test_benchmarks.py",
        ],
        env={**alone_in_pytest(), "PYTHONPATH": str(ROOT), "TMPDIR": str(repository.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert re.search(
        r"^numpy_plain, forward 3-3-1, 1 sample: FAIL: slower by more than 5.0%", done.stdout, re.MULTILINE
    )
    assert "numpy_plain" in Path("junit.xml").read_text()
    gates = {
        one["extra_info"]["backend"]: one["extra_info"]["gate"]
        for one in json.loads(Path("pytest.json").read_text())["benchmarks"]
    }
    assert gates["numpy_plain"]["verdict"] == "FAIL"
    assert gates["numpy_vectorized"]["verdict"] in ("PASS", "INCONCLUSIVE")
    assert gates["numpy_plain"]["change"]["low"] > 1.5
    if gates["numpy_vectorized"]["verdict"] == "INCONCLUSIVE":
        assert re.search(r"SKIPPED.*numpy_vectorized, forward 3-3-1, 1 sample: INCONCLUSIVE", done.stdout)


@pytest.mark.parametrize("option", ["--benchmark-gate-against=nosuch", "--benchmark-gate-baseline=nosuch.json"])
def test_in_pytest_bad_input_gets_one_line(repository, option):
    options = ("-c", os.devnull, "-p", "no:cacheprovider", "-p", "bench.plugin", "--rootdir", ".", "--benchmark")
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
