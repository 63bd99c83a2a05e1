"""The commands ``pairbench compare`` and ``pairbench run``, and what all commands of pairbench share."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pairbench import command_timer
from pairbench.cli.main import main
from pairbench.cli.tables import Report
from pairbench.command_timer import CONTROL, Command, CommandFailed, CommandTimes
from pairbench.option_values import check_file
from tests.helpers import ROOT

PYTHON = sys.executable
SLEEP = "import sys, time; time.sleep(float(sys.argv[1]))"


def sleep(seconds):
    return (PYTHON, "-S", "-c", SLEEP, str(seconds))


@pytest.mark.slow
def test_run_times_commands_in_turn(capsys, tmp_path):
    """The slower one sleeps eight times as long. The order is taken from what the commands write."""
    log = tmp_path / "log"
    words = [f"echo {name} >> {log}; sleep {seconds}" for name, seconds in (("a", 0.02), ("b", 0.16))]
    assert main(["run", "--runs", "6", "--json", str(tmp_path / "run.json"), "--", words[0], "---", words[1]]) == 0
    document = json.loads((tmp_path / "run.json").read_text())
    assert [row["arm"] for row in document["rows"]] == [words[0], words[1], CONTROL]
    assert document["rows"][1]["speedup"]["estimate"] < 0.6
    assert document["rows"][2]["command"] == words[0]
    assert document["rows"][1]["median"]["low"] >= 0.16
    assert {len(times) for times in document["seconds"].values()} == {6}
    order = log.read_text().split()
    assert order[:2] == ["a", "b"]  # the warm-up runs
    blocks = [order[2 + 3 * block : 5 + 3 * block] for block in range(6)]
    assert all(sorted(block) == ["a", "a", "b"] for block in blocks)
    assert sorted({block.index("b") for block in blocks}) == [0, 1, 2]  # balanced, so at every position
    assert "speedup" in capsys.readouterr().out


def test_run_reports_a_command_that_fails(capsys):
    failing = (PYTHON, "-S", "-c", "print('before'); raise SystemExit('no input file')")
    assert main(["run", "--", *sleep(0), "---", *failing]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "no input file" in err
    assert err.splitlines()[-1].endswith("ended with status 1")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["a"], "give two commands or more"),
        (["a", "---"], "give two commands or more"),
        (["", "---", "a"], "give two commands or more"),
        (["nosuchprogram", "x", "---", "true", "x"], "nosuchprogram: No such file or directory"),
    ],
)
def test_run_refuses_what_is_no_pair_of_commands(words, reason, capsys):
    assert main(["run", "--", *words]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"pairbench: {reason}")


@pytest.mark.parametrize("option", [("--runs", "1"), ("--warmup", "-1"), ("--budget", "0"), ("--budget", "nan")])
def test_run_refuses_numbers_without_sense(option, capsys):
    assert main(["run", *option, "--", "true", "---", "true"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_same_command_twice_has_two_names(capsys):
    assert main(["run", "--runs", "2", "--format", "csv", "--", "true", "---", "true"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["arm"] for row in rows] == ["true", "true (2)", CONTROL]


@pytest.mark.slow
def test_an_interrupted_run_prints_what_was_measured(tmp_path):
    process = subprocess.Popen(
        [PYTHON, "-m", "pairbench", "run", "--", "sleep 0.05", "---", "sleep 0.06 # b"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stderr:
        if "run 4 of each" in line:
            break
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "3 runs of each command" in out


def test_a_command_that_is_interrupted_is_ended_with_its_children(tmp_path, monkeypatch):
    """The shell's child would go on and write the file."""
    marker = tmp_path / "marker"

    def interrupt(self, timeout=None):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(command_timer.subprocess.Popen, "wait", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Command((f"(sleep 0.3; touch {marker}) & wait",)).run()
    time.sleep(0.6)
    assert not marker.exists()


def test_speedups_are_ratios_of_the_same_block():
    """Ratios of the medians would be 1: the order of the times differs, the median does not."""
    times = CommandTimes({"a": Command(("a",)), "b": Command(("b",))})
    times.seconds = {"a": [1.0, 2.0, 4.0], "b": [2.0, 4.0, 1.0], CONTROL: [1.0, 2.0, 4.0]}
    assert times.speedup("b").estimate == pytest.approx(0.5)
    assert times.speedup(CONTROL).estimate == pytest.approx(1)
    assert times.median("a").estimate == 2
    mean = times.mean("a")
    assert (mean.low, mean.estimate, mean.high) == pytest.approx(
        (0, 7 / 3, 7 / 3 + 4.30265 * 1.527525 / 3**0.5), rel=1e-4
    )


def test_a_failed_command_says_how_it_ended():
    with pytest.raises(CommandFailed, match="was ended by signal 15"):
        Command(("kill -15 $$",)).run()


FUNCTIONS = """
def loops(values):
    total = 0
    for value in values:
        total += value
    return total

def quick(values):
    return sum(values)

def wrong(values):
    return sum(values) + 1

def make():
    return (list(range(2000)),)
"""


@pytest.mark.slow
def test_compare_times_functions(tmp_path, monkeypatch, capsys):
    (tmp_path / "compared.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    names = ["compared:loops", "compared:quick"]
    assert main(["compare", *names, "--setup", "compared:make", "--budget", "2", "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["command"] == "compare"
    (row,) = document["rows"]
    assert row["name"] == "compared:quick"
    assert row["speedup"]["estimate"] > 1.5
    assert main(["compare", *names, "compared:wrong", "--setup", "compared:make", "--budget", "0.1"]) == 1
    out = capsys.readouterr().out
    assert "compared:wrong is not equal: result is 1999001 instead of 1999000" in out
    for name, reason in (("compared:none", "has no none"), ("nosuch:f", "no module nosuch"), ("f", "is named by")):
        assert main(["compare", names[0], name]) == 2
        err = capsys.readouterr().err
        assert reason in err
        assert len(err.splitlines()) == 1


@pytest.mark.parametrize(("reference", "candidate"), [("math:prod", "numpy:prod"), ("math:fsum", "numpy:sum")])
def test_compare_times_functions_of_c_and_names_both_in_full(reference, candidate, tmp_path, monkeypatch, capsys):
    (tmp_path / "number.py").write_text("def make():\n    return ([0.5, 2.0] * 100,)\n")  # more than an empty call
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "number", raising=False)
    options = ("--setup", "number:make", "--budget", "0.1", "--format", "csv")
    assert main(["compare", reference, candidate, *options]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["reference"], row["candidate"], row["equal"]) == (reference, candidate, "True")


def test_json_alone_goes_to_standard_output(capsys):
    assert main(["run", "--runs", "2", "--json", "-", "--", "true", "---", "true x"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == "pairbench.run/1"
    for options in (["--json", "-", "--format", "csv"], ["--output", "x", "--json", "x"], ["--json", "no/such/file"]):
        assert main(["run", *options, "--", "true", "---", "true"]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_a_command_the_status_is_that_of_wrong_usage(capsys):
    assert main([]) == 2
    assert "pairbench --help" in capsys.readouterr().err
    assert main(["nosuch"]) == 2
    assert capsys.readouterr().err.endswith("commands: compare, gate, run\n")
    assert main(["--help"]) == 0


def test_text_from_outside_is_no_markup(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    report = Report("a | b", ("name", "x"), [("[red]\x1b[31m*`", "1")], ["<b>"])
    assert "[red]\\x1b[31m*`" in report.text()
    assert "| [red]\\\\x1b[31m\\*\\` | 1 |" in report.markdown()
    assert "- &lt;b&gt;" in report.markdown()


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Command, "run", lambda command: pytest.fail("a command was run"))
    for option in ("--output", "--json"):
        assert main(["run", option, str(tmp_path / (300 * "x")), "--", "true", "---", "false"]) == 2
        assert capsys.readouterr().err.endswith(": File name too long\n")
    kept = tmp_path / "kept"
    kept.write_text("content")
    check_file(kept)
    check_file(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert kept.read_text() == "content"


def test_run_needs_no_double_dash_and_one_run_is_singular(capsys, monkeypatch):
    seconds = iter([1.0, 1.0, 1.0])

    def run(command):
        if (taken := next(seconds, None)) is None:
            raise KeyboardInterrupt
        return taken

    monkeypatch.setattr(Command, "run", run)
    assert main(["run", "--warmup", "0", "ls", "---", "ls", "-l"]) == 130
    out = capsys.readouterr().out
    assert "ls -l" in out
    assert "\n1 run of each command" in out


def test_a_name_that_is_no_function_has_been_imported(capsys):
    for name, reason in (("math:pi", "math:pi is no function"), ("math:nothing", "math has no nothing")):
        assert main(["compare", "math:sqrt", name]) == 2
        assert capsys.readouterr().err == f"pairbench: {reason}\n"
