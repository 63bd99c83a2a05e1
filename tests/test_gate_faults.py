"""The command ``gate`` with misbehaving backends, vanishing sources, unwritable files and bad input."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from filelock import FileLock

from bench.cli.main import main
from bench.gate import preparation
from bench.records import files
from bench.records.gate_schema import Gate
from pairbench import lock, round_effort, rounds
from tests.gates import QUICK, gate, left_behind, plant, start, worker_pids
from tests.helpers import ROOT

pytestmark = pytest.mark.slow


def test_faults_during_timing_are_reported(repository, monkeypatch):
    monkeypatch.setattr(rounds, "CALL_TIMEOUT", 1.0)
    plant(repository, "numpy_plain", "late and os._exit(3)")
    plant(repository, "numpy_vectorized", "out[:] = float('nan') if late else out")
    plant(repository, "python_loops_ndarray", "late and time.sleep(1000)")
    plant(repository, "python_loops", "late and print('garbage', flush=True)")
    _, rows, document = gate("--budget", "8")
    assert document.verdict == "FAIL"
    assert rows["numpy_plain"].reason == "the head fails: the worker process ended with status 3"
    assert rows["numpy_vectorized"].reason.startswith("the head fails: output")
    assert rows["python_loops_ndarray"].reason == "the head fails: the worker process gave no answer for 1 s"
    assert rows["python_loops"].rounds > 0
    assert left_behind() == []


def test_a_function_that_is_replaced_during_timing_is_named(repository):
    plant(repository, "numpy_plain", "late and setattr(time, 'perf_counter', time.monotonic)")
    _, rows, _ = gate("--backend", "numpy_plain", "--backend", "numpy_vectorized", "--budget", "3")
    assert rows["numpy_plain"].reason == "the head fails: replaces time.perf_counter"
    assert rows["numpy_vectorized"].verdict != "FAIL"


@pytest.mark.parametrize("child", ["subprocess.Popen(['sleep', '97'])", "os.fork() or (time.sleep(97), os._exit(0))"])
def test_processes_that_a_backend_starts_are_ended(repository, child):
    path = repository / "impls" / "numpy_plain.py"
    path.write_text(f"{path.read_text()}\nimport os, subprocess, time\n{child}\n")
    begun = time.monotonic()
    status, _, _ = gate("--backend", "numpy_plain", "--budget", "1")
    assert status in (0, 3)
    assert time.monotonic() - begun < 90
    assert left_behind() == []


def test_a_thread_that_computes_while_other_processes_are_timed_is_named(repository, monkeypatch):
    monkeypatch.setattr(round_effort, "MAX_BLOCKS", 30)  # so that the others take longer than 5 ms
    monkeypatch.setattr(round_effort, "MIN_BLOCKS", 30)
    compute = "lambda: [sum(range(1000)) for _ in range(10**7)]"
    plant(repository, "numpy_plain", f"calls == 300 and __import__('_thread').start_new_thread({compute}, ())")
    _, rows, _ = gate("--backend", "numpy_plain", "--backend", "numpy_vectorized")
    assert rows["numpy_plain"].reason == "the head fails: leaves threads that compute while others are timed"
    assert rows["numpy_vectorized"].verdict != "FAIL"


def test_vanished_sources_are_not_replaced_by_others(repository):
    process = start("--backend", "numpy_plain", "--budget", "60", "--threshold", "0.01%")
    while not Path("results", "gate.partial.json").exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    for tree in Path(".mlpbench", "gate").glob("*/[ab]"):
        tree.rename(tree.with_name(f"gone-{tree.name}"))
    err = process.communicate()[1]
    assert process.returncode in (2, 3)  # 3 if a worker process was already starting
    if process.returncode == 2:
        assert re.search(r"the sources in \S+ were removed during", err.splitlines()[-1])
        status, _, _ = gate("--backend", "numpy_plain", "--threshold", "0.01%", "--resume", "--budget", "1")
        assert status in (0, 3)


def test_standard_error_that_cannot_be_written_changes_no_status(repository):
    command = [sys.executable, "-c", "from bench.cli.main import console; console()", "gate", "--against"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(Path.cwd().parent)}
    with open("/dev/full", "w") as full:
        assert subprocess.run([*command, "nosuch"], env=environment, stderr=full, check=False).returncode == 2
    words = [*command, "HEAD", *QUICK[2:], "--budget", "0.1", "--backend", "numpy_plain", "--json", "-"]
    closed = f"exec {shlex.join(words)} 2>&-"
    done = subprocess.run(["sh", "-c", closed], env=environment, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["command"] == "gate"


def test_a_killed_worker_costs_at_most_one_round(repository):
    process = start("--backend", "numpy_plain", "--budget", "3", "--json", "gate.json")
    while not Path("results", "gate.partial.json").exists():
        time.sleep(0.02)
        assert process.poll() is None, process.communicate()
    while not (pids := worker_pids()):
        time.sleep(0.002)
    with suppress(ProcessLookupError):  # the process may have ended
        os.kill(pids[0], signal.SIGKILL)
    output = process.communicate()
    assert process.returncode in (0, 3), output
    document = files.read(Path("gate.json"), Gate)
    assert sum(not measured_round.seconds for measured_round in document.rounds) <= 1
    assert document.rows[0].rounds >= 1


def test_results_that_cannot_be_stored_are_shown(repository, capsys, monkeypatch):
    verify_side = preparation.verify_side

    def verify_and_lose_the_folder(*arguments):
        Path("results").rmdir()
        Path("results").write_text("a file where the folder was")
        return verify_side(*arguments)

    monkeypatch.setattr(preparation, "verify_side", verify_and_lose_the_folder)
    _, rows, _ = gate("--backend", "numpy_plain")
    _, err = capsys.readouterr()
    assert rows["numpy_plain"].rounds >= 1
    assert "the gate continues, but cannot be resumed" in err
    assert re.search(r"^mlpbench: cannot write results/gate-.*\.json: ", err, re.MULTILINE)


def test_a_second_gate_waits_and_says_so(repository):
    with FileLock(lock.lock_path()):
        process = start("--backend", "nosuch")
        line = process.stderr.readline()
        assert process.poll() is None
    assert line == "mlpbench: another measurement is running on this machine; waiting for it to end\n"
    assert "no backend is named 'nosuch'" in process.communicate()[1]
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "name what to measure against"),
        (("--against", "HEAD", "--baseline", "b.json"), "give either --against or --baseline, not both"),
        (("--against", ""), "the revision of --against is empty"),
        (("--baseline", "b.json", "--resume"), "--resume goes on with a gate --against"),
        (("--against", "nosuch"), "git does not know the revision 'nosuch'"),
        (("--against", "HEAD", "--threshold", "five"), "a threshold is a slowdown above 0% and at most 100%"),
        (("--against", "HEAD", "--threshold", "-5%"), "a threshold is a slowdown"),
        (("--against", "HEAD", "--threshold", "nan"), "a threshold is a slowdown"),
        (("--against", "HEAD", "--budget", "0"), "a budget is a number of seconds above 0"),
        (("--against", "HEAD", "--budget", "nan"), "a budget is a number of seconds above 0"),
        (("--against", "HEAD", "--backend", "nosuch"), "no backend is named 'nosuch'"),
        (("--against", "HEAD", "--network", "3"), "such as 3-3-1"),
        (("--against", "HEAD", "--json", "no/such/folder.json"), "there is no folder no/such"),
        (("--baseline", "nosuch.json"), "there is no baseline nosuch.json; `mlpbench baseline record` makes one"),
        (("--baseline-from", "HEAD"), "name what to measure against"),
        (("--against", "HEAD", "--baseline-from", "HEAD"), "name the file, too"),
        (
            ("--baseline", "results/baseline.json", "--baseline-from", "HEAD"),
            "HEAD does not contain results/baseline.json",
        ),
        (("--baseline", "/b.json", "--baseline-from", "HEAD"), "so no revision contains it"),
        (("--against", "HEAD", "--markdown", "no/such/folder.md"), "there is no folder no/such"),
        (("--against", "HEAD", "--markdown", ""), "is a folder; name a file"),
        (("--against", "HEAD", "--markdown", "/dev/full"), "is not a regular file"),
        (("--against", "HEAD", "--markdown", "x", "--json", "x"), "x would be written twice"),
        (("--against", "HEAD", "--results", ".", "--json", "gate.partial.json"), "would be written twice"),
        (("--against", "HEAD", "--results", "r" * 300), "File name too long"),
        (("--against", "HEAD", "--results", ".gitignore/results"), "cannot make the folder .gitignore/results"),
        (("--against", "HEAD", "--results", "/dev/null"), "cannot make the folder /dev/null"),
        (("--baseline", "b.json", "--results", "/proc/nope"), "cannot make the folder /proc/nope"),
    ],
)
def test_bad_input_gets_one_line(repository, capsys, arguments, text):
    assert_one_line(capsys, "gate", *arguments, text=text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("baseline", "record", "--baseline", "b.json", "--json", "./b.json"), "b.json would be written twice"),
        (("baseline", "record", "--baseline", "b.json", "--backend", "python_loops"), "has no speedup itself"),
        (("baseline", "show"), "there is no baseline results/baseline.json"),
        (("baseline", "accept", "--baseline", "nosuch.json"), "there is no baseline nosuch.json"),
        (("baseline", "accept", "--budget", "-1"), "a budget is a number of seconds above 0"),
        (("baseline", "nosuch"), "No such command 'nosuch'; commands: accept, record, show"),
        (("error-rates",), "there is no recording in results/gate"),
        (("error-rates", "--rounds", "-1"), "--rounds must be 1 or more, not -1"),
        (("error-rates", "--rounds", "0"), "--rounds must be 1 or more, not 0"),
        (("error-rates", "--loaded"), "--loaded needs --rounds N"),
        (("error-rates", "--resume"), "--resume needs --rounds N"),
    ],
)
def test_bad_input_to_baseline_and_error_rates_gets_one_line(repository, capsys, arguments, text):
    assert_one_line(capsys, *arguments, text=text)


def assert_one_line(capsys, *arguments, text):
    assert main([*arguments]) == 2
    out, err = capsys.readouterr()
    line = err.splitlines()[-1]
    assert out == ""
    assert text in line
    assert "Traceback" not in err
